import numpy as np
import pytest

from kbert.models.encoder import BertEncoder
from kbert.tasks.classification import ClassificationTask
from kbert.tasks.texts import Example
from kbert.text.graph_encoder import GraphEncoder
from kbert.text.tokenizer import Tokenizer
from kbert.training.validation_loss import ValidationLoss


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
