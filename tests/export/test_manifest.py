import json

import pytest

from kbert.export.manifest import manifest
from kbert.prediction.loading import load
from kbert.version import __version__


@pytest.fixture(scope="module")
def loaded(classifier):
    return load(classifier)


def test_it_tells_what_the_model_does(loaded, classifier, vocabulary):
    assert manifest(loaded, classifier, None) == {
        "format": 1,
        "kbert": __version__,
        "task": "classification",
        "text_inputs": ["text"],
        "labels": ["bad", "fine", "good"],
        "vocabulary_sha256": vocabulary.sha256(),
        "metrics": None,
        "command": None,
    }


def test_metrics_are_the_single_numbers_of_the_model_folder(loaded, tmp_path):
    metrics = {"accuracy": 0.5, "examples": 4, "per_class": {"bad": {}}, "labels": ["bad"], "odd": None, "on": True}
    (tmp_path / "kbert.json").write_text(json.dumps({"metrics": metrics | {"loss": float("nan")}}))
    assert manifest(loaded, tmp_path, None)["metrics"] == {"accuracy": 0.5, "examples": 4}


@pytest.mark.parametrize("settings", [{}, {"metrics": None}, {"metrics": {"per_class": {}}}, []])
def test_a_folder_without_metrics(loaded, tmp_path, settings):
    (tmp_path / "kbert.json").write_text(json.dumps(settings))
    assert manifest(loaded, tmp_path, None)["metrics"] is None


def test_the_command_is_kept_word_by_word(loaded, classifier):
    words = ("kbert", "export", "saved-model", "a model", "--output", "films")
    assert manifest(loaded, classifier, words)["command"] == list(words)


def test_a_task_without_labels(embedder):
    content = manifest(load(embedder), embedder, None)
    assert (content["task"], content["labels"]) == ("embedding", None)
