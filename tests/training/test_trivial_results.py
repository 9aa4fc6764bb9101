import pytest

from kbert.tasks.classification import ClassificationTask
from kbert.tasks.embedding import EmbeddingTask
from kbert.tasks.generation import GenerationTask
from kbert.tasks.multilabel import MultilabelTask
from kbert.tasks.multiple_choice import ChoiceExample, MultipleChoiceTask
from kbert.tasks.question_answering import QuestionAnsweringTask
from kbert.tasks.readers.generation import GenerationExample
from kbert.tasks.readers.question_answering import Answer, Question
from kbert.tasks.readers.summarization import SummarizationExample
from kbert.tasks.readers.tagging import Span, TaggedText
from kbert.tasks.regression import RegressionTask
from kbert.tasks.summarization import SummarizationTask
from kbert.tasks.tagging import TaggingTask
from kbert.tasks.text_task import Example
from kbert.training.data.task_examples import TaskExamples
from kbert.training.finetune import finetune
from kbert.training.trivial_results import BASELINE, baseline_of, trivial_result

CASES = {
    "classification": (
        ClassificationTask(["a", "b"]),
        [Example("x", None, "a"), Example("y", None, "a"), Example("z", None, "b")],
        "always answers 'a'",
        2 / 3,
    ),
    "multilabel": (
        MultilabelTask(["a", "b"]),
        [Example("x", None, ("a", "b")), Example("y", None, ("b",))],
        "always answers 'b'",
        0.8,
    ),
    "regression": (RegressionTask(), [Example("x", None, 1.0), Example("y", None, 3.0)], "always answers 2", 1.0),
    "multiple-choice": (
        MultipleChoiceTask(),
        [ChoiceExample("p", ("a", "b", "c"), 1), ChoiceExample("p", ("a", "b"), 1), ChoiceExample("p", ("a", "b"), 0)],
        "always answers choice 2",
        2 / 3,
    ),
    "tagging": (TaggingTask(["O", "B-x"]), [TaggedText("a cat", (Span(2, 5, "x"),))], "finds no span", 0.0),
    "tagging of words": (
        TaggingTask(["DET", "NOUN"], per_word=True),
        [TaggedText("a cat dog", words=((0, 1), (2, 5), (6, 9)), tags=("DET", "NOUN", "NOUN"), per_word=True)],
        "gives each word the tag 'NOUN'",
        2 / 3,
    ),
    "question-answering": (
        QuestionAnsweringTask(impossible=True),
        [Question("q", "c d", ()), Question("q", "c d", (Answer("c", 0),))],
        "never answers",
        0.5,
    ),
    "summarization": (
        SummarizationTask(1),
        [SummarizationExample(("a cat", "a dog"), (1, 0), ("a dog",))],
        "takes the first sentences",
        0.5,
    ),
    "generation": (GenerationTask(), [GenerationExample("a cat", ("a cat",))], "copies the text", 100.0),
}


@pytest.mark.parametrize("name", CASES)
def test_a_result_that_is_no_better(name):
    task, examples, words, value = CASES[name]
    found = TaskExamples(task, examples, examples, ())
    sign = 1 if task.larger_is_better else -1
    baseline = baseline_of(task, found)[BASELINE]
    assert baseline == {"answer": words, "metric": task.main_metric, "value": pytest.approx(value)}
    message = trivial_result(task, baseline, {task.main_metric: value})
    assert message.startswith(
        f"{task.main_metric} {value:.4f} on the validation data is no better than {value:.4f}, "
        f"the result of a model that {words}. `kbert finetune --find-learning-rate` suggests "
    )
    assert trivial_result(task, baseline, {task.main_metric: value - sign * 0.01}) is not None
    assert trivial_result(task, baseline, {task.main_metric: value + sign * 0.01}) is None


def test_tasks_and_metrics_without_such_an_answer():
    examples = TaskExamples(EmbeddingTask(), [], [], ())
    assert baseline_of(EmbeddingTask(), examples) == {}
    assert trivial_result(EmbeddingTask(), None, {"mrr": 0.0}) is None
    task, rows, _, _ = CASES["classification"]
    assert baseline_of(task.with_main_metric("loss"), TaskExamples(task, rows, rows, ())) == {}


def test_an_answer_is_not_computed_for_the_loss(monkeypatch):
    monkeypatch.setattr(GenerationTask, "trivial_metrics", None)  # a call would fail
    task, rows, _, _ = CASES["generation"]
    assert baseline_of(task.with_main_metric("loss"), TaskExamples(task, rows, rows, ())) == {}


@pytest.mark.long
def test_a_run_that_learns_nothing_says_so(tmp_path, cats_and_dogs, quick, caplog):
    finetune("classification", output=tmp_path / "run", **cats_and_dogs, **quick | {"learning_rate": 1e-12})
    warnings = [record for record in caplog.records if record.name == "kbert" and record.levelname == "WARNING"]
    said = [record.getMessage() for record in warnings if record.getMessage().startswith("accuracy 0.")]
    assert len(said) == 1
    assert "of a model that always answers" in said[0]
