"""Models of every task, fine-tuned in every precision, are unchanged after a round trip through every format."""

import dataclasses
import json
import shutil

import ml_dtypes
import numpy as np
import pytest
from every_task import TASKS, WITHOUT_POOLER

from kbert.conversion.convert import convert
from kbert.conversion.formats import FORMATS
from kbert.conversion.google import GoogleFormat
from kbert.conversion.settings import ConversionSettings
from kbert.errors import BundleError
from kbert.model_folder.bundle import Bundle
from kbert.prediction.loading import load
from kbert.pretrained.loading import load_model
from kbert.tasks.question_answering import QuestionAnsweringTask

# Model Garden's is read only; tests/conversion/test_model_garden.py has its heads.
WRITTEN = [each.name for each in FORMATS if each.writes]


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
    assert after.modules == before.modules
    return done


# Each conversion is checked by running two models: the default run has the heads that differ most.
ALWAYS = {("classification", "google"), ("tagging", "google"), ("tagging", "keras-hub"), ("embedding", "google")}


@pytest.mark.parametrize(
    ("name", "to"),
    [
        pytest.param(name, to, marks=() if (name, to) in ALWAYS else pytest.mark.slow)
        for name in TASKS
        for to in WRITTEN
    ],
)
@pytest.mark.long
def test_every_task_in_every_format(tmp_path, make_task_model, small_config, name, to):
    config = small_config.replace(hidden_act="gelu_new")
    source = make_task_model(tmp_path / "run", TASKS[name](), config=config)
    assert ("bert.pooler.dense.bias" not in Bundle.load(source).tensors) == (name in WITHOUT_POOLER)
    done = assert_comes_back(source, tmp_path, to)
    said = any("has no pooler" in note for note in done.notes)
    assert said == (name in WITHOUT_POOLER and to != "bundle")
    load(tmp_path / "back")


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, pytest.param(np.float64, marks=pytest.mark.slow)])
@pytest.mark.parametrize("to", WRITTEN)
def test_other_precisions(tmp_path, pretrained, to, dtype):
    bundle = Bundle.load(pretrained)
    tensors = {name: tensor.astype(dtype) for name, tensor in bundle.tensors.items()}
    config = bundle.config.replace(hidden_act="gelu_new")
    dataclasses.replace(bundle, tensors=tensors, config=config).save(tmp_path / "source", "card")
    done = assert_comes_back(tmp_path / "source", tmp_path, to)
    assert any("rounded to float32" in note for note in done.notes) == (dtype == np.float64 and to != "bundle")


@pytest.mark.long
@pytest.mark.parametrize("to", WRITTEN)
def test_pooling_and_prompts_of_sentence_transformers(tmp_path, make_sentence_folder, to):
    folder = make_sentence_folder(
        tmp_path / "source",
        pooling={"word_embedding_dimension": 32, "pooling_mode_cls_token": True},
        modules=("Pooling",),
        transformer={"max_seq_length": 20, "do_lower_case": True},
        library={"prompts": {"query": "the ", "passage": ""}, "default_prompt_name": "query"},
    )
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_act": "gelu_new"}))
    assert_comes_back(folder, tmp_path, to)
    modules = Bundle.load(tmp_path / "back").modules
    assert (modules.pooling, modules.normalize, modules.max_length) == ("cls", False, 20)
    assert (modules.prompts, modules.default_prompt) == ({"query": "the ", "passage": ""}, "query")
    texts = ["The cat sat.", "a dog"]
    before, after = (load(each).answers(texts)["vector"] for each in (folder, tmp_path / "back"))
    np.testing.assert_array_equal(after, before)


def test_settings_of_sentence_transformers_that_are_damaged(tmp_path, make_sentence_folder):
    convert(make_sentence_folder(tmp_path / "source"), tmp_path / "google", to="google")
    path = tmp_path / "google" / "kbert.json"
    values = json.loads(path.read_text())
    for change in ({"pooling": "last"}, {"normalize": 1}, {"prompts": {"a": 1}}, {"max_length": True}, {"further": 1}):
        changed = values["conversion"] | {"modules": values["conversion"]["modules"] | change}
        path.write_text(json.dumps(values | {"conversion": changed}))
        with pytest.raises(BundleError, match=r"kbert\.json is damaged .*; remove it to convert without its settings$"):
            convert(tmp_path / "google", tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "note"),
    [
        (
            {"modules": ("Pooling", "Dense")},
            "the files of sentence-transformers are not written, because kbert does not support a module Dense",
        ),
        (
            {"modules": (), "library": {"model_type": "CrossEncoder", "prompts": {"query": "the "}}},
            "the activation is kept; the other settings in the files of sentence-transformers are not",
        ),
    ],
)
def test_what_is_lost_of_sentence_transformers_is_said(tmp_path, make_sentence_folder, options, note):
    folder = make_sentence_folder(tmp_path / "source", **options)
    assert note in convert(folder, tmp_path / "out", to="bundle").notes
    assert not (tmp_path / "out" / "modules.json").exists()


def test_heads_that_another_program_trained_go_before_kberts_own_file(tmp_path, make_task_model):
    """A classifier that was trained on a copy of another model's folder is read as a classifier."""
    for name in ("question answering", "classification"):
        convert(make_task_model(tmp_path / name, TASKS[name]()), tmp_path / f"{name} google", to="google")
    (tmp_path / "classification google" / "kbert.json").unlink()
    shutil.copy(tmp_path / "question answering google" / "kbert.json", tmp_path / "classification google")
    done = convert(tmp_path / "classification google", tmp_path / "back")
    assert any("has other heads than kbert.json beside it describes" in note for note in done.notes)
    bundle = Bundle.load(tmp_path / "back")
    assert (bundle.architecture, bundle.settings.get("task")) == ("BertForSequenceClassification", None)
    assert type(load_model(tmp_path / "back")).__name__ == "ClassificationModel"


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.long
def test_without_kberts_own_file_a_model_is_one_that_kbert_opens(tmp_path, make_task_model, name):
    convert(make_task_model(tmp_path / "run", TASKS[name]()), tmp_path / "google", to="google")
    (tmp_path / "google" / "kbert.json").unlink()
    bundle = GoogleFormat().read(tmp_path / "google" / "bert_model.ckpt", ConversionSettings())
    expected = {
        "tagging": "TokenClassificationModel",
        "tagging with a CRF": "TokenClassificationModel",
        "tagging of words": "TokenClassificationModel",
        "summarization": "TokenClassificationModel",
        "question answering": "QuestionAnsweringModel",
        "embedding": "BertEncoder",
        # The format has no names for their other heads.
        "relations": "TokenClassificationModel",
        "semantic roles": "TokenClassificationModel",
        "generation": "MaskedLanguageModel",
    }
    assert type(load_model(bundle)).__name__ == expected.get(name, "ClassificationModel")


def test_next_sentence_prediction_alone(tmp_path, pretrained):
    """Such a model is a classification model with two classes."""
    bundle = Bundle.load(pretrained)
    tensors = {name: tensor for name, tensor in bundle.tensors.items() if not name.startswith("cls.predictions.")}
    config = bundle.config.replace(hidden_act="gelu_new")
    replaced = {"tensors": tensors, "config": config, "architecture": "BertForNextSentencePrediction"}
    dataclasses.replace(bundle, **replaced).save(tmp_path / "source", "card")
    done = assert_comes_back(tmp_path / "source", tmp_path, "google")
    assert set(done.differences) == {"sequence_output", "pooled_output", "logits"}
    pooled = np.random.default_rng(0).normal(size=(3, 32)).astype(np.float32)
    logits = load_model(tmp_path / "back").heads({"pooled_output": pooled}, {})["logits"]
    expected = pooled @ tensors["cls.seq_relationship.weight"].T + tensors["cls.seq_relationship.bias"]
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5)


def test_a_head_that_kbert_has_no_model_for(tmp_path, pretrained):
    bundle = dataclasses.replace(Bundle.load(pretrained), architecture="BertLMHeadModel")
    bundle.save(tmp_path / "source", "card")
    done = convert(tmp_path / "source", tmp_path / "google", to="google")
    assert set(done.differences) == {"sequence_output", "pooled_output"}
    assert (
        "kbert has no model for the head of BertLMHeadModel: its tensors were compared, but not its outputs"
        in done.notes
    )


def test_a_pooler_of_zeros_is_dropped_without_kberts_own_file(tmp_path, make_task_model):
    convert(make_task_model(tmp_path / "run", QuestionAnsweringTask()), tmp_path / "google", to="google")
    (tmp_path / "google" / "kbert.json").unlink()
    done = convert(tmp_path / "google", tmp_path / "back")
    assert "the pooler holds only zeros, which means that the model has none; it is left out" in done.notes
    assert "bert.pooler.dense.bias" not in Bundle.load(tmp_path / "back").tensors


@pytest.mark.parametrize("to", WRITTEN)
@pytest.mark.long
def test_a_decoder_that_is_not_tied_comes_back(tmp_path, pretrained, to):
    bundle = Bundle.load(pretrained)
    table = bundle.tensors["bert.embeddings.word_embeddings.weight"]
    bundle.tensors["cls.predictions.decoder.weight"] = table[::-1] * 2
    bundle.config = bundle.config.replace(hidden_act="gelu_new")
    bundle.save(tmp_path / "source", "card")
    assert_comes_back(tmp_path / "source", tmp_path, to)
