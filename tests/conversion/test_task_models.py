"""What fine-tuning writes, of every task, in every format, in every precision: it comes back as it was."""

import dataclasses

import ml_dtypes
import numpy as np
import pytest

from kbert.conversion.convert import convert
from kbert.model_folder.bundle import Bundle
from kbert.prediction.predictor import load
from kbert.tasks.classification import ClassificationTask
from kbert.tasks.embedding import EmbeddingTask
from kbert.tasks.multilabel import MultilabelTask
from kbert.tasks.multiple_choice import MultipleChoiceTask
from kbert.tasks.question_answering import QuestionAnsweringTask
from kbert.tasks.ranking import RankingTask
from kbert.tasks.regression import RegressionTask
from kbert.tasks.summarization import SummarizationTask
from kbert.tasks.tagging import TaggingTask

TASKS = {
    "classification": lambda: ClassificationTask(["a", "b", "c"]),
    "pairs": lambda: ClassificationTask(["a", "b"], paired=True),
    "multilabel": lambda: MultilabelTask(["x", "y"]),
    "tagging": lambda: TaggingTask(["O", "B-P", "I-P"]),
    "tagging with a CRF": lambda: TaggingTask(["O", "B-P", "I-P"], crf=True),
    "question answering": QuestionAnsweringTask,
    "regression": lambda: RegressionTask(mean=3.0, deviation=2.0),
    "ranking": RankingTask,
    "multiple choice": MultipleChoiceTask,
    "summarization": lambda: SummarizationTask(2),
    "embedding": EmbeddingTask,
}
WITHOUT_POOLER = {"tagging", "tagging with a CRF", "question answering", "summarization", "embedding"}


def assert_comes_back(source, folder, to):
    """Converts there and back; gives what was said."""
    done = convert(source, folder / "there", to=to)
    convert(folder / "there", folder / "back", to="bundle")
    before, after = Bundle.load(source), Bundle.load(folder / "back")
    assert after.tensors.keys() == before.tensors.keys()
    for name, tensor in before.tensors.items():
        np.testing.assert_array_equal(after.tensors[name].astype(np.float32), tensor.astype(np.float32), name)
    assert (after.architecture, after.foreign_config) == (before.architecture, before.foreign_config)
    assert after.settings.get("task") == before.settings.get("task")
    assert after.config == before.config
    return done


# Each conversion is checked by running two models: the default run has the heads that differ most.
ALWAYS = {("classification", "google"), ("tagging", "google"), ("tagging", "keras-hub"), ("embedding", "google")}


@pytest.mark.parametrize(
    ("name", "to"),
    [
        pytest.param(name, to, marks=() if (name, to) in ALWAYS else pytest.mark.slow)
        for name in TASKS
        for to in ("google", "keras-hub", "bundle")
    ],
)
def test_every_task_in_every_format(tmp_path, make_task_model, small_config, name, to):
    config = small_config.replace(hidden_act="gelu_new")
    source = make_task_model(tmp_path / "run", TASKS[name](), config=config)
    assert ("bert.pooler.dense.bias" not in Bundle.load(source).tensors) == (name in WITHOUT_POOLER)
    done = assert_comes_back(source, tmp_path, to)
    said = any("has no pooler" in note for note in done.notes)
    assert said == (name in WITHOUT_POOLER and to != "bundle")
    load(tmp_path / "back")


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, pytest.param(np.float64, marks=pytest.mark.slow)])
@pytest.mark.parametrize("to", ["google", "keras-hub", "bundle"])
def test_other_precisions(tmp_path, pretrained, to, dtype):
    bundle = Bundle.load(pretrained)
    tensors = {name: tensor.astype(dtype) for name, tensor in bundle.tensors.items()}
    config = bundle.config.replace(hidden_act="gelu_new")
    dataclasses.replace(bundle, tensors=tensors, config=config).save(tmp_path / "source", "card")
    done = assert_comes_back(tmp_path / "source", tmp_path, to)
    assert any("rounded to float32" in note for note in done.notes) == (dtype == np.float64 and to != "bundle")


def test_a_pooler_of_zeros_is_dropped_without_kberts_own_file(tmp_path, make_task_model):
    convert(make_task_model(tmp_path / "run", QuestionAnsweringTask()), tmp_path / "google", to="google")
    (tmp_path / "google" / "kbert.json").unlink()
    done = convert(tmp_path / "google", tmp_path / "back")
    assert "the pooler holds zeros alone, which stands for a model without one; it is left out" in done.notes
    assert "bert.pooler.dense.bias" not in Bundle.load(tmp_path / "back").tensors


@pytest.mark.parametrize("to", ["google", "keras-hub", "bundle"])
def test_a_decoder_that_is_not_tied_comes_back(tmp_path, pretrained, to):
    bundle = Bundle.load(pretrained)
    table = bundle.tensors["bert.embeddings.word_embeddings.weight"]
    bundle.tensors["cls.predictions.decoder.weight"] = table[::-1] * 2
    bundle.config = bundle.config.replace(hidden_act="gelu_new")
    bundle.save(tmp_path / "source", "card")
    assert_comes_back(tmp_path / "source", tmp_path, to)
