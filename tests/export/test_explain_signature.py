import numpy as np
import pytest
import tensorflow as tf

from kbert.errors import UsageError
from kbert.export.saved_model import export_saved_model
from kbert.prediction.explanation.explainer import readable_explanation
from kbert.prediction.loading import load
from kbert.tasks.question_answering import QuestionAnsweringTask
from kbert.tasks.regression import RegressionTask
from kbert.tasks.semantic_roles import SemanticRolesTask
from kbert.tasks.summarization import SummarizationTask
from kbert.tasks.tagging import TaggingTask

TEXTS = ["The cats sat!", "unaffable dog"]


def served(version, task, **inputs):
    signature = tf.saved_model.load(str(version)).signatures["explain"]
    answers = signature(**{name: tf.constant(values) for name, values in inputs.items()})
    return [
        readable_explanation({name: value.numpy()[row] for name, value in answers.items()}, task.explained_inputs)
        for row in range(len(next(iter(inputs.values()))))
    ]


def same(one, other):
    for name in ("label", "answer", "start", "end", "sentence"):
        assert one.get(name) == other.get(name)
    ours, theirs = one["words"], other["words"]
    assert [word["word"] for word in ours] == [word["word"] for word in theirs]
    np.testing.assert_allclose([word["score"] for word in ours], [word["score"] for word in theirs], atol=1e-4)


@pytest.mark.long
def test_served_explanations_are_those_of_the_model(tmp_path, classifier):
    version = export_saved_model(classifier, output=tmp_path / "saved", explain=True)
    loaded = load(classifier)
    for label in ("", "good"):
        expected = loaded.explain(TEXTS, label=label or None)
        for one, other in zip(served(version, loaded.task, text=TEXTS, label=[label] * 2), expected, strict=True):
            same(one, other)
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected one of the labels bad, fine, good"):
        served(version, loaded.task, text=TEXTS, label=["x", ""])


@pytest.mark.slow
def test_the_tag_of_a_span_and_an_answer(tmp_path, make_task_model):
    tagger = make_task_model(tmp_path / "tagger", TaggingTask(["O", "B-P", "I-P", "B-Q"]))
    version = export_saved_model(tagger, output=tmp_path / "a", explain=True)
    loaded = load(tagger)
    for label, span in (("", None), ("Q", None), ("", (4, 8))):
        expected = loaded.explain(TEXTS, label=label or None, span=span)
        found = served(version, loaded.task, text=TEXTS, label=[label] * 2, span=[span or (0, 0)] * 2)
        for one, other in zip(found, expected, strict=True):
            same(one, other)
    answers = make_task_model(tmp_path / "answers", QuestionAnsweringTask())
    version = export_saved_model(answers, output=tmp_path / "b", explain=True)
    loaded = load(answers)
    found = served(version, loaded.task, question=TEXTS, context=TEXTS[::-1], span=[(0, 0)] * 2)
    for one, other in zip(found, loaded.explain(TEXTS, TEXTS[::-1]), strict=True):
        same(one, other)


@pytest.mark.slow
def test_the_sentence_of_a_summary(tmp_path, make_task_model):
    model = make_task_model(tmp_path / "run", SummarizationTask(1))
    version = export_saved_model(model, output=tmp_path / "saved", explain=True)
    loaded = load(model)
    for sentence in (-1, 1):
        (expected,) = loaded.explain([TEXTS], sentence=None if sentence < 0 else sentence)
        (found,) = served(version, loaded.task, sentences=[TEXTS], sentence=[sentence])
        same(found, expected)
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected the index of a sentence"):
        served(version, loaded.task, sentences=[TEXTS], sentence=[2])


@pytest.mark.slow
def test_a_regression_needs_no_label(tmp_path, make_task_model):
    model = make_task_model(tmp_path / "run", RegressionTask())
    version = export_saved_model(model, output=tmp_path / "saved", explain=True, ops="core")
    loaded = load(model)
    for one, other in zip(served(version, loaded.task, text=TEXTS), loaded.explain(TEXTS), strict=True):
        same(one, other)
        assert one["value"] == pytest.approx(other["value"], abs=1e-4)


def test_a_model_whose_answers_cannot_be_explained(tmp_path, make_task_model):
    model = make_task_model(tmp_path / "run", SemanticRolesTask(["A0"]))
    with pytest.raises(UsageError, match=r"answers can be explained \(.*\)\. Received: a model for semantic-roles$"):
        export_saved_model(model, output=tmp_path / "saved", explain=True)
    assert not list((tmp_path / "saved").glob("*"))
