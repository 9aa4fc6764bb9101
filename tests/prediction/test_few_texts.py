"""A few short texts get the answers of TensorFlow without a graph."""

import numpy as np
import pytest

from kbert.prediction.few_texts import FewTexts
from kbert.prediction.loading import load
from kbert.tasks.classification import ClassificationTask
from kbert.tasks.embedding import EmbeddingTask
from kbert.tasks.multilabel import MultilabelTask
from kbert.tasks.regression import RegressionTask

LONG = "the cat sat on the mat . Ünaffable dogs ran 中文 ! " * 5
TEXTS = [LONG, "", "a dog \ud800 ran\0fast"]
TASKS = {
    "classification": (ClassificationTask(["no", "yes", "中"]).with_abstention(0.4), [TEXTS]),
    "pairs": (ClassificationTask(["no", "yes"], paired=True), [TEXTS, TEXTS[::-1]]),
    "multilabel": (MultilabelTask(["动作", "crime", "b|c"], thresholds=[0.5, 0.4, 0.6]), [TEXTS]),
    "no label": (MultilabelTask(["a", "b"], thresholds=[0.99, 0.99]), [TEXTS]),
    "regression": (RegressionTask(True, 2.5, 1.5), [TEXTS, TEXTS[::-1]]),
    "embedding": (EmbeddingTask(prompt="the "), [TEXTS]),
    "cls": (EmbeddingTask(pooling="cls", normalize=False), [TEXTS]),
    "max": (EmbeddingTask(pooling="max"), [TEXTS]),
}


@pytest.fixture
def no_graph(monkeypatch):
    """Fails the test if a graph answers."""

    def fail(*_):
        raise AssertionError("a graph was called")

    monkeypatch.setattr("kbert.prediction.litert_text_model.LiteRtTextModel._answers", fail)


ALWAYS = ("classification", "multilabel", "embedding")
"""The tasks of the default run."""


@pytest.mark.parametrize(
    "name", [name if name in ALWAYS else pytest.param(name, marks=pytest.mark.long) for name in TASKS]
)
def test_the_answers_are_those_of_tensorflow(tmp_path, make_task_model, small_config, no_graph, name):
    task, columns = TASKS[name]
    folder = make_task_model(tmp_path / "model", task, config=small_config.replace(num_hidden_layers=1))
    expected, received = load(folder).answers(*columns), load(folder, engine="litert").answers(*columns)
    assert received.keys() == expected.keys()
    for output, wanted in expected.items():
        assert received[output].dtype == wanted.dtype
        if wanted.dtype == object:
            assert received[output].tolist() == wanted.tolist()
        else:
            np.testing.assert_allclose(received[output], wanted, rtol=0, atol=2e-5)


def test_a_task_with_other_answers_is_answered_by_its_graph(tmp_path, make_task_model, small_config, monkeypatch):
    class Other(ClassificationTask):
        def served_answers(self, outputs, encoded):
            return {"sure": outputs["logits"][:, 0] > -100}

    class Named(ClassificationTask):
        """Changes no answers."""

    assert (Other.answers_in_numpy, Named.answers_in_numpy) == (False, True)
    task = Other(["a", "b"])
    folder = make_task_model(tmp_path / "model", task, config=small_config.replace(num_hidden_layers=1))
    monkeypatch.setattr("kbert.prediction.loading.task_from_bundle", lambda *_, **__: task)
    assert load(folder, engine="litert").answers(["a"])["sure"].tolist() == [True]


@pytest.mark.parametrize(
    ("rows", "batch_size", "suits"),
    [(["a" * 600], 1, True), (["a" * 601], 1, False), (["a"] * 3, 2, False), ([], 2, False), (["a", ""], 2, True)],
)
def test_only_few_and_short_texts(rows, batch_size, suits):
    class Model:
        def numpy_heads(self):
            return None

    few = FewTexts(ClassificationTask(["a", "b"]), Model(), None, 16, "longest_first", None)
    assert few.suits({"text": rows}, batch_size) is suits
