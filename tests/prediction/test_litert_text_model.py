"""LiteRT as the engine of a text model gives the answers of TensorFlow, for every task."""

import numpy as np
import pytest
import tensorflow as tf

from kbert.inference.litert_encoder import litert_encoder
from kbert.prediction import litert_text_model
from kbert.prediction.litert_text_model import LiteRtTextModel
from kbert.prediction.loading import load
from kbert.tasks.classification import ClassificationTask
from kbert.tasks.embedding import EmbeddingTask
from kbert.tasks.multilabel import MultilabelTask
from kbert.tasks.multiple_choice import MultipleChoiceTask
from kbert.tasks.question_answering import QuestionAnsweringTask
from kbert.tasks.ranking import RankingTask
from kbert.tasks.regression import RegressionTask
from kbert.tasks.summarization import SummarizationTask
from kbert.tasks.tagging import TaggingTask

LONG = "the cat sat on the mat . Ünaffable dogs ran 中文 ! " * 5
TEXTS = [LONG, "", "a dog"]
SEVERAL = [["the mat", LONG, "", ""], ["a", "b", "中", "ran"], ["fast", "", "slow", ""]]
TASKS = {
    "classification": (ClassificationTask(["no", "yes"], paired=True), [TEXTS, TEXTS[::-1]]),
    "multilabel": (MultilabelTask(["动作", "crime", "b|c"], thresholds=[0.5, 0.4, 0.6]), [TEXTS]),
    "regression": (RegressionTask(True, 2.5, 1.5), [TEXTS, TEXTS[::-1]]),
    "multiple-choice": (MultipleChoiceTask(), [TEXTS, SEVERAL]),
    "tagging": (TaggingTask(["O", "B-a", "E-a", "S-a", "I-a"], crf=True), [TEXTS]),
    "question-answering": (
        QuestionAnsweringTask(impossible=True),
        [["cat ?", "the", "a " * 40], [LONG, "a dog", LONG]],
    ),
    "embedding": (EmbeddingTask(prompt="the "), [TEXTS]),
    "ranking": (RankingTask(), [TEXTS, SEVERAL]),
    "summarization": (SummarizationTask(2), [SEVERAL]),
}

ALWAYS = ("classification", "embedding", "ranking")
"""The tasks of the default run: one row a text, a prompt, and several rows a text."""


def _assert_equal(received, expected):
    assert received.keys() == expected.keys()
    for name, wanted in expected.items():
        if wanted.dtype == tf.string:
            assert received[name].tolist() == wanted.numpy().tolist()
        else:
            assert received[name].dtype == wanted.dtype.as_numpy_dtype
            np.testing.assert_allclose(received[name], wanted.numpy(), rtol=0, atol=2e-5)


@pytest.mark.long
@pytest.mark.parametrize(
    "name", [name if name in ALWAYS else pytest.param(name, marks=pytest.mark.slow) for name in TASKS]
)
def test_answers_of_a_task(tmp_path, make_task_model, small_config, name):
    task, columns = TASKS[name]
    loaded = load(make_task_model(tmp_path / "model", task, config=small_config.replace(num_hidden_layers=1)))
    litert = LiteRtTextModel(loaded.text_model, litert_encoder(loaded.encoder))
    texts = [tf.constant(column) for column in columns]
    _assert_equal(litert.from_text(*texts), loaded.text_model.from_text(*texts))
    one = [text[2:] for text in texts]
    _assert_equal(litert.from_text(*one), loaded.text_model.from_text(*one))
    _assert_equal(litert.without_prompts()(*texts), loaded.text_model.without_prompts()(*texts))


@pytest.mark.long
def test_masks_are_filled(pretrained):
    loaded = load(pretrained)
    texts = tf.constant(["the [MASK] sat on a [MASK] .", "a cat", "[MASK]"])
    _assert_equal(
        LiteRtTextModel(loaded.text_model, litert_encoder(loaded.encoder)).from_text(texts),
        loaded.text_model.from_text(texts),
    )


@pytest.mark.slow
def test_windows_of_long_texts_are_computed_in_parts(tmp_path, make_task_model, small_config, monkeypatch):
    task, columns = TASKS["question-answering"]
    loaded = load(make_task_model(tmp_path / "model", task, config=small_config.replace(num_hidden_layers=1)))
    monkeypatch.setattr(litert_text_model, "ROWS_AT_ONCE", 2)
    sizes = []
    encoder = litert_encoder(loaded.encoder)

    def counted(ids, mask, types):
        sizes.append(len(mask))
        return encoder(ids, mask, types)

    litert = LiteRtTextModel(loaded.text_model, counted)
    texts = [tf.constant(column) for column in columns]
    _assert_equal(litert.from_text(*texts), loaded.text_model.from_text(*texts))
    assert max(sizes) == 2 < sum(sizes)
