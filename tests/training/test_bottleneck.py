"""Training with bottleneck adapters, and what is done with the run: it is not a plain BERT."""

import json
import shutil

import numpy as np
import pytest
import safetensors.numpy

from kbert.conversion.convert import convert
from kbert.errors import ConfigError, UsageError
from kbert.export.phone.export import export_litert
from kbert.export.saved_model import export_saved_model
from kbert.export.session import session_answers
from kbert.model_folder.bundle import Bundle
from kbert.prediction.loading import load
from kbert.pretrained.adapter_folders import extract_adapter, merge_adapter
from kbert.training.finetune import finetune
from kbert.training.pretrain import pretrain
from kbert.training.prune import prune

TEXTS = ["the fast cat sat .", "a slow dog ran .", "cats"]
BLOCK = "bert.encoder.layer.0.output.bottleneck"


@pytest.fixture(scope="module")
def module_tmp(tmp_path_factory):
    return tmp_path_factory.mktemp("bottleneck")


@pytest.fixture
def run(module_tmp, cats_and_dogs, quick):
    """A run with bottleneck adapters, trained once for this module."""
    folder = module_tmp / "run"
    if not folder.exists():
        finetune("classification", **cats_and_dogs, **quick | {"epochs": 3}, adapter="bottleneck:4", output=folder)
    return folder


def probabilities(folder, **options):
    return [answer["probabilities"]["yes"] for answer in load(folder, **options).predict(TEXTS)]


def test_the_adapters_the_pooler_and_the_head_are_trained(pretrained, run):
    base, tuned = Bundle.load(pretrained).tensors, Bundle.load(run).tensors
    changed = {name for name in tuned if not np.array_equal(tuned[name], base.get(name))}
    adapters = {f"{BLOCK}.{part}.{end}" for part in ("down", "up") for end in ("weight", "bias")}
    assert changed == adapters | {
        "bert.pooler.dense.weight",
        "bert.pooler.dense.bias",
        "classifier.weight",
        "classifier.bias",
    }
    assert tuned[f"{BLOCK}.down.weight"].shape == (4, 16)
    assert np.abs(tuned[f"{BLOCK}.up.weight"]).max() > 0


def test_config_json_says_that_it_is_no_plain_bert(run):
    config = json.loads((run / "config.json").read_text())
    assert config["model_type"] == "kbert_bottleneck"
    assert config["architectures"] == ["BertForSequenceClassificationWithBottleneckAdapters"]
    assert (config["bottleneck_size"], config["bottleneck_act"]) == (4, "relu")
    assert Bundle.load(run).architecture == "BertForSequenceClassification"


def test_without_its_size_or_with_the_type_of_a_bert_it_is_refused(run, tmp_path):
    folder = shutil.copytree(run, tmp_path / "copy")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "bert"}))
    with pytest.raises(ConfigError, match=r'model_type must be "kbert_bottleneck". Received: model_type=\'bert\'$'):
        Bundle.load(folder)
    (folder / "config.json").write_text(json.dumps(config | {"bottleneck_size": None}))
    with pytest.raises(ConfigError, match=r'model_type must be "bert". Received: model_type=\'kbert_bottleneck\'$'):
        Bundle.load(folder)


def test_the_folder_of_the_adapter_gives_the_same_answers(run, tmp_path):
    folder = tmp_path / "copy"
    extract_adapter(run, output=folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        "adapter.safetensors",
        "adapter_config.json",
        "head_config.json",
        "kbert.json",
        "model_head.safetensors",
    ]
    stored = safetensors.numpy.load_file(folder / "adapter.safetensors")
    assert "bert.encoder.layer.0.output.adapters.kbert.adapter_down.0.weight" in stored
    assert json.loads((folder / "head_config.json").read_text())["label2id"] == {"no": 0, "yes": 1}
    assert probabilities(folder) == pytest.approx(probabilities(run), abs=1e-6)


@pytest.mark.long
def test_other_engines_give_the_same_answers(run, tmp_path):
    expected = probabilities(run)
    assert probabilities(run, engine="litert") == pytest.approx(expected, abs=1e-5)
    version = export_saved_model(run, output=tmp_path / "saved")
    received = session_answers(version, {"serving_default": {"text": np.array(TEXTS, object)}})["serving_default"]
    assert received["probabilities"][:, 1] == pytest.approx(expected, abs=1e-5)
    # An export compares its answers with those of the model before it writes the file.
    assert export_litert(run, output=tmp_path / "model.tflite", quantize="dynamic").stat().st_size > 0


@pytest.mark.long
def test_training_all_weights_goes_on_from_a_run(run, cats_and_dogs, quick, tmp_path):
    finetune("classification", **cats_and_dogs, **quick | {"model": run}, output=tmp_path / "next")
    before, after = Bundle.load(run), Bundle.load(tmp_path / "next")
    assert after.config == before.config
    assert not np.array_equal(after.tensors[f"{BLOCK}.down.weight"], before.tensors[f"{BLOCK}.down.weight"])


def test_pretraining_with_bottleneck_adapters(pretrained, corpus_text, tmp_path):
    from kbert.corpus.building.build import build_corpus

    build_corpus([corpus_text], vocab=pretrained, output=tmp_path / "corpus", sequence_length=16)
    pretrain(corpus=tmp_path / "corpus", model=pretrained, output=tmp_path / "run", steps=3, batch_size=4,
             adapter="bottleneck", show_progress=False)  # fmt: skip
    run, adapter = Bundle.load(tmp_path / "run"), Bundle.load(tmp_path / "run" / "adapter")
    assert run.config.bottleneck_size == 1
    assert adapter.architecture == "BertForPreTraining"
    for name, tensor in run.tensors.items():
        np.testing.assert_array_equal(adapter.tensors[name], tensor)


def test_what_needs_a_plain_bert_is_refused(run, cats_and_dogs, quick, tmp_path):
    with pytest.raises(
        UsageError, match=r"^the format google has no bottleneck adapters. Received: .*run, a model with"
    ):
        convert(run, tmp_path / "google", to="google")
    with pytest.raises(
        UsageError, match=r"^a bottleneck adapter cannot become part of a plain BERT. Received: .*adapter"
    ):
        merge_adapter(run / "adapter", output=tmp_path / "merged")
    with pytest.raises(UsageError, match=r"^expected a plain BERT to prune. Received: .*, a model with bottleneck"):
        prune(run, layers=1, **cats_and_dogs, output=tmp_path / "pruned")
    with pytest.raises(UsageError, match=r"^adapter needs a plain BERT as model. Received: .*which has bottleneck"):
        finetune("classification", **cats_and_dogs, **quick | {"model": run}, adapter="lora", output=tmp_path / "again")
    assert (
        list(tmp_path.glob("*")) == [tmp_path / "train.csv", tmp_path / "dev.csv"] or not (tmp_path / "again").exists()
    )


def test_an_adapter_for_another_size_is_refused(run, pretrained, tmp_path):
    folder = shutil.copytree(run / "adapter", tmp_path / "adapter")
    (folder / "kbert.json").unlink()  # without the digest of the base model
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"model_name": str(run)}))
    with pytest.raises(UsageError, match=r"^expected a plain BERT as the base model of the adapter .* has bottleneck"):
        Bundle.load(folder)
    (folder / "adapter_config.json").write_text(json.dumps(config))
    stored = safetensors.numpy.load_file(folder / "adapter.safetensors")
    del stored["bert.encoder.layer.0.output.adapters.kbert.adapter_up.bias"]
    safetensors.numpy.save_file(stored, folder / "adapter.safetensors")
    with pytest.raises(UsageError, match=r"another base model: expected bottleneck adapters for 1 blocks of width 16"):
        Bundle.load(folder)
