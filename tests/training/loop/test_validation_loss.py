import numpy as np
import pytest
import tensorflow as tf

from kbert.models.encoder import BertEncoder
from kbert.tasks.classification import ClassificationTask
from kbert.tasks.ranking import RankingTask
from kbert.tasks.readers.ranking import RankingExample
from kbert.tasks.text_task import Example
from kbert.text.graph.encoder import GraphEncoder
from kbert.text.tokenizer import Tokenizer
from kbert.training.loop.validation_loss import ValidationLoss


@pytest.mark.long
@pytest.mark.parametrize("batch_size", [2, 3, 32])
def test_it_is_the_mean_loss_of_all_examples_whatever_the_batch_size(vocabulary, small_config, batch_size):
    task = ClassificationTask(["bad", "good"])
    model = task.build(BertEncoder(small_config.replace(hidden_dropout_prob=0.5), seed=1))
    texts = ["the cat sat", "a dog", "fast", "the slow dog ran on the mat .", "un"]
    examples = [Example(text, None, ("bad", "good")[index % 2]) for index, text in enumerate(texts)]
    encode = GraphEncoder(Tokenizer(vocabulary).to_graph(), 16)
    rows = task.training_rows(examples, encode)
    loss = ValidationLoss(model, task, rows, batch_size=batch_size, sequence_length=16)
    logits = np.concatenate([model(encode([text]))["logits"].numpy() for text in texts]).astype(np.float64)
    expected = np.mean([np.log(np.exp(row).sum()) - row[index % 2] for index, row in enumerate(logits)])
    assert loss() == pytest.approx(expected, abs=1e-5)
    assert loss() == loss()


def test_a_query_with_many_candidates_is_measured_by_itself(vocabulary, small_config):
    task = RankingTask("sigmoid")
    model = task.build(BertEncoder(small_config, seed=1))
    counts = [3, 70, 2, 40, 1, 5]
    examples = [RankingExample("cat", ("dog",) * count, (1.0,) * count) for count in counts]
    rows = task.training_rows(examples, GraphEncoder(Tokenizer(vocabulary).to_graph(), 16))
    seen = []

    class Watched:
        def __call__(self, batch, training):
            tf.py_function(lambda ids: seen.append(tuple(ids.shape[:2])), [batch["input_word_ids"]], [])
            return model(batch, training=training)

    parts = ValidationLoss(Watched(), task, rows, batch_size=4, sequence_length=16)()
    assert seen == [(1, 3), (1, 70), (1, 2), (1, 40), (2, 5)]
    assert parts == pytest.approx(ValidationLoss(model, task, rows, batch_size=100, sequence_length=16)(), abs=1e-6)
