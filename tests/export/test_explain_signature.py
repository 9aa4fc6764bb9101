import numpy as np
import pytest
import tensorflow as tf

from kbert.errors import UsageError
from kbert.export.saved_model import export_saved_model
from kbert.prediction.explanation.explainer import readable_explanation
from kbert.prediction.loading import load
from kbert.tasks.regression import RegressionTask
from kbert.tasks.tagging import TaggingTask

TEXTS = ["The cats sat!", "unaffable dog"]


def served(version, **inputs):
    signature = tf.saved_model.load(str(version)).signatures["explain"]
    answers = signature(**{name: tf.constant(values) for name, values in inputs.items()})
    return [
        readable_explanation({name: value.numpy()[row] for name, value in answers.items()}, ["text"])
        for row in range(len(TEXTS))
    ]


def same(one, other):
    assert one.get("label") == other.get("label")
    ours, theirs = one["words"], other["words"]
    assert [word["word"] for word in ours] == [word["word"] for word in theirs]
    np.testing.assert_allclose([word["score"] for word in ours], [word["score"] for word in theirs], atol=1e-4)


@pytest.mark.long
def test_served_explanations_are_those_of_the_model(tmp_path, classifier):
    version = export_saved_model(classifier, output=tmp_path / "saved", explain=True)
    for label in ("", "good"):
        expected = load(classifier).explain(TEXTS, label=label or None)
        for one, other in zip(served(version, text=TEXTS, label=[label] * 2), expected, strict=True):
            same(one, other)
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected one of the labels bad, fine, good"):
        served(version, text=TEXTS, label=["x", ""])


@pytest.mark.slow
def test_a_regression_needs_no_label(tmp_path, make_task_model):
    model = make_task_model(tmp_path / "run", RegressionTask())
    version = export_saved_model(model, output=tmp_path / "saved", explain=True, ops="core")
    for one, other in zip(served(version, text=TEXTS), load(model).explain(TEXTS), strict=True):
        same(one, other)
        assert one["value"] == pytest.approx(other["value"], abs=1e-4)


def test_a_model_whose_answers_cannot_be_explained(tmp_path, make_task_model):
    model = make_task_model(tmp_path / "run", TaggingTask(["O", "B-P"]))
    with pytest.raises(UsageError, match=r"answers can be explained: .* Received: a model for tagging$"):
        export_saved_model(model, output=tmp_path / "saved", explain=True)
    assert not list((tmp_path / "saved").glob("*"))
