import numpy as np
import pytest
from every_task import TASKS

from kbert.model_folder.bundle import Bundle
from kbert.models.encoder import BertEncoder
from kbert.models.tensor_names import read_tensors
from kbert.tasks.classification import ClassificationTask
from kbert.tasks.embedding import EmbeddingTask
from kbert.tasks.multilabel import MultilabelTask
from kbert.tasks.question_answering import QuestionAnsweringTask
from kbert.tasks.regression import RegressionTask
from kbert.tasks.tagging import TaggingTask
from kbert.training.finetune import finetune
from kbert.training.new_weights import assign_starting_weights


def started(folder, task, config):
    """The tensors of a task's model that starts with another one, those it would have fresh, and what is new."""
    encoder = BertEncoder(config, pooled=task.pooled, seed=1)
    bindings = task.bindings(task.build(encoder))
    fresh = read_tensors(bindings)
    new = assign_starting_weights(task, bindings, Bundle.load(folder))
    return read_tensors(bindings), fresh, new


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.long
def test_a_model_of_the_same_task_keeps_all(tmp_path, make_task_model, small_config, name):
    folder = make_task_model(tmp_path / "run", TASKS[name]())
    tensors, _, new = started(folder, TASKS[name](), small_config)
    assert new == []
    for key, tensor in Bundle.load(folder).tensors.items():
        np.testing.assert_allclose(tensors[key], tensor, atol=1e-6, err_msg=key)


def test_numbers_keep_their_meaning_with_another_mean(tmp_path, make_task_model, small_config):
    folder = make_task_model(tmp_path / "run", RegressionTask(mean=3.0, deviation=2.0))
    tensors, _, new = started(folder, RegressionTask(mean=-1.0, deviation=0.5), small_config)
    assert new == []
    np.testing.assert_allclose(tensors["classifier.bias"], Bundle.load(folder).tensors["classifier.bias"], atol=1e-6)


@pytest.mark.parametrize("make", [ClassificationTask, MultilabelTask])
def test_labels_are_found_by_name(tmp_path, make_task_model, small_config, make):
    folder = make_task_model(tmp_path / "run", make(["a", "b", "c"]))
    old = Bundle.load(folder).tensors
    tensors, _, new = started(folder, make(["c", "a", "b"]), small_config)
    assert new == []
    for name in ("classifier.weight", "classifier.bias"):
        np.testing.assert_array_equal(tensors[name], old[name][[2, 0, 1]])
    tensors, fresh, new = started(folder, make(["d", "c", "a", "e", "b"]), small_config)
    assert new == ["classifier (2 of 5 labels)"]
    for name in ("classifier.weight", "classifier.bias"):
        np.testing.assert_array_equal(tensors[name][[2, 4, 1]], old[name])
        np.testing.assert_array_equal(tensors[name][[0, 3]], fresh[name][[0, 3]])
    tensors, _, new = started(folder, make(["c", "a"]), small_config)
    assert new == []
    np.testing.assert_array_equal(tensors["classifier.weight"], old["classifier.weight"][[2, 0]])


def test_tags_are_found_by_name_in_a_crf_too(tmp_path, make_task_model, small_config):
    folder = make_task_model(tmp_path / "run", TaggingTask(["O", "B-P", "I-P"], crf=True))
    old = Bundle.load(folder).tensors
    tensors, fresh, new = started(folder, TaggingTask(["O", "B-L", "I-L", "B-P", "I-P"], crf=True), small_config)
    assert new == ["classifier (2 of 5 labels)"]
    known = [0, 3, 4]
    np.testing.assert_array_equal(tensors["crf.transitions"][np.ix_(known, known)], old["crf.transitions"])
    np.testing.assert_array_equal(tensors["crf.transitions"][1], fresh["crf.transitions"][1])
    np.testing.assert_array_equal(tensors["crf.end_transitions"][known], old["crf.end_transitions"])
    plain = make_task_model(tmp_path / "plain", TaggingTask(["O", "B-P", "I-P"]))
    _, _, new = started(plain, TaggingTask(["O", "B-P", "I-P"], crf=True), small_config)
    assert new == ["CRF"]


@pytest.mark.parametrize(
    ("old", "task", "expected"),
    [
        ("classification", ClassificationTask(["x", "y"]), ["classifier"]),
        ("classification", ClassificationTask(["a", "b", "c"], paired=True), ["classifier"]),
        ("classification", MultilabelTask(["a", "b", "c"]), ["classifier"]),
        ("tagging", ClassificationTask(["O", "B-P"]), ["pooler", "classifier"]),
        ("embedding", QuestionAnsweringTask(), ["answer-span head"]),
        ("question answering", EmbeddingTask(), []),
    ],
)
def test_heads_of_other_tasks_are_new(tmp_path, make_task_model, small_config, old, task, expected):
    folder = make_task_model(tmp_path / "run", TASKS[old]())
    tensors, fresh, new = started(folder, task, small_config)
    assert new == expected
    for name in fresh:
        if name.startswith(("classifier.", "qa_outputs.")):
            np.testing.assert_array_equal(tensors[name], fresh[name])


def test_a_classifier_of_transformers_keeps_its_head(tmp_path, classifier, small_config):
    bundle = Bundle.load(classifier)
    bundle.settings = {}
    bundle.save(tmp_path / "foreign", "card")
    (tmp_path / "foreign" / "kbert.json").unlink()
    tensors, _, new = started(tmp_path / "foreign", ClassificationTask(["good", "bad", "fine"]), small_config)
    assert new == []
    np.testing.assert_array_equal(tensors["classifier.bias"], bundle.tensors["classifier.bias"][[2, 0, 1]])
    _, _, new = started(tmp_path / "foreign", ClassificationTask(["new", "bad", "fine", "good"]), small_config)
    assert new == ["classifier (1 of 4 labels)"]


@pytest.mark.long
def test_fine_tuning_says_what_is_new(tmp_path, classifier, told):
    """At a learning rate of almost nothing, what was known is answered as before."""
    rows = ["text,label", "the cat,good", "a dog,bad", "the mat,fine", "the dogs,new"]
    (tmp_path / "train.csv").write_text("\n".join(rows) + "\n")
    table = {"train": tmp_path / "train.csv", "validation": tmp_path / "train.csv"}
    options = {"learning_rate": 1e-12, "epochs": 1, "batch_size": 4, "sequence_length": 16, "show_progress": False}
    finetune("classification", model=classifier, output=tmp_path / "run", **table, **options)
    assert [line for line in told() if "new weights" in line] == ["new weights: classifier (1 of 4 labels)"]
    old, new = Bundle.load(classifier), Bundle.load(tmp_path / "run")
    assert (old.labels, new.labels) == (["bad", "fine", "good"], ["bad", "fine", "good", "new"])
    np.testing.assert_allclose(new.tensors["classifier.weight"][:3], old.tensors["classifier.weight"], atol=1e-6)
    finetune("classification", model=tmp_path / "run", output=tmp_path / "again", **table, **options)
    assert sum("new weights" in line for line in told()) == 1
