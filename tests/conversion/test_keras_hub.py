import json
import shutil

import h5py
import numpy as np
import pytest

from kbert.conversion.convert import convert
from kbert.errors import BundleError, ConfigError, VocabularyError
from kbert.model_folder.bundle import Bundle


def edit(path, **changes):
    values = json.loads(path.read_text())
    values["config"] |= changes
    path.write_text(json.dumps(values))


@pytest.fixture
def tanh(tmp_path, pretrained, classifier):
    """Gives the folder of a model with the tanh form of GELU."""

    def make(model):
        folder = shutil.copytree({"pretrained": pretrained, "classifier": classifier}[model], tmp_path / model)
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"hidden_act": "gelu_pytorch_tanh"}))
        return folder

    return make


@pytest.fixture
def preset(tmp_path, tanh):
    """The classifier as a preset."""
    convert(tanh("classifier"), tmp_path / "preset", to="keras-hub")
    return tmp_path / "preset"


@pytest.mark.parametrize("model", ["pretrained", "classifier"])
@pytest.mark.long
def test_round_trip(tmp_path, tanh, model):
    folder = tanh(model)
    result = convert(folder, tmp_path / "preset", to="keras-hub")
    assert result.largest_difference <= 2e-5
    assert convert(tmp_path / "preset", tmp_path / "back").largest_difference <= 2e-5
    for name in ("model.safetensors", "vocab.txt", "kbert.json", "tokenizer_config.json"):
        assert (tmp_path / "back" / name).read_bytes() == (folder / name).read_bytes()
    before, after = Bundle.load(folder), Bundle.load(tmp_path / "back")
    assert (after.config, after.architecture, after.foreign_config) == (
        before.config,
        before.architecture,
        before.foreign_config,
    )


def test_the_same_model_gives_the_same_bytes(tmp_path, preset):
    convert(tmp_path / "classifier", tmp_path / "again", to="keras-hub")
    paths = [path.relative_to(preset) for path in preset.rglob("*") if path.is_file()]
    assert len(paths) == 9
    for path in paths:
        assert (preset / path).read_bytes() == (tmp_path / "again" / path).read_bytes()


def test_the_erf_form_is_refused_unless_it_may_change(tmp_path, pretrained):
    message = (
        r"^KerasHub's BERT supports only the tanh form of GELU\. Received: the erf form of GELU; --gelu tanh changes"
    )
    with pytest.raises(ConfigError, match=message):
        convert(pretrained, tmp_path / "preset", to="keras-hub")
    assert not (tmp_path / "preset").exists()
    result = convert(pretrained, tmp_path / "preset", to="keras-hub", gelu="tanh")
    assert result.notes[0] == "GELU is changed to the tanh form; the source has the erf form"
    assert "KerasHub has no place for cls.seq_relationship.bias, cls.seq_relationship.weight" in result.notes[1]
    assert "BertMaskedLM computes its head with the erf form of GELU and the epsilon 1e-5" in result.notes[2]


@pytest.mark.long
def test_without_kbert_json_it_is_any_preset(tmp_path, preset):
    (preset / "kbert.json").unlink()
    convert(preset, tmp_path / "out")
    bundle = Bundle.load(tmp_path / "out")
    assert bundle.config.hidden_act == "gelu_new"
    assert bundle.architecture == "BertForSequenceClassification"
    assert bundle.foreign_config["id2label"] == {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}


def test_the_encoder_alone(tmp_path, preset):
    convert(preset, tmp_path / "out", encoder_only=True)
    assert Bundle.load(tmp_path / "out").architecture == "BertModel"


def test_to_google_and_back(tmp_path, preset):
    convert(preset, tmp_path / "google", to="google")
    convert(tmp_path / "google", tmp_path / "back")
    assert (tmp_path / "back" / "model.safetensors").read_bytes() == (
        tmp_path / "classifier" / "model.safetensors"
    ).read_bytes()


def refused(tmp_path, folder, error, message):
    with pytest.raises(error, match=message) as problem:
        convert(folder, tmp_path / "out")
    assert "\n" not in str(problem.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("size", [0, 100, 5000, -200])
def test_a_truncated_weight_file(tmp_path, preset, size):
    path = preset / "model.weights.h5"
    path.write_bytes(path.read_bytes()[:size])
    refused(tmp_path, preset, BundleError, r"model\.weights\.h5")


def test_a_missing_weight_file(tmp_path, preset):
    (preset / "model.weights.h5").unlink()
    refused(tmp_path, preset, BundleError, r"model\.weights\.h5 is missing$")


def test_links_to_other_files_are_refused(tmp_path, preset):
    with h5py.File(preset / "model.weights.h5", "a") as handle:
        del handle["layers/dense/vars/0"]
        handle["layers/dense/vars/0"] = h5py.ExternalLink("/etc/passwd", "x")
    refused(tmp_path, preset, BundleError, r"vars/0 must be in the file itself\. Received: a link$")


def test_data_in_other_files_is_refused(tmp_path, preset):
    with h5py.File(preset / "model.weights.h5", "a") as handle:
        del handle["layers/dense/vars/1"]
        handle.create_dataset("layers/dense/vars/1", (32,), "f4", external=[("/etc/passwd", 0, 128)])
    refused(tmp_path, preset, BundleError, r"vars/1 must be in the file itself\. Received: data elsewhere$")


def test_wrong_tensors(tmp_path, preset):
    with h5py.File(preset / "model.weights.h5", "a") as handle:
        del handle["layers/dense/vars/0"]
        handle["layers/dense/vars/0"] = np.zeros((32, 31), np.float32)
    refused(tmp_path, preset, BundleError, r"pooled_dense/vars/0 must have the shape \[32, 32\].*\[32, 31\]$")
    with h5py.File(preset / "model.weights.h5", "a") as handle:
        del handle["layers/dense/vars/0"]
    refused(tmp_path, preset, BundleError, r"has no tensor pooled_dense/vars/0 of shape \[32, 32\]$")
    with h5py.File(preset / "model.weights.h5", "a") as handle:
        handle["layers/dense/vars/0"] = np.zeros((32, 32), np.float32)
        handle["layers/lora/vars/0"] = np.zeros(2, np.float32)
    refused(tmp_path, preset, BundleError, r"of this shape: lora/vars/0$")


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"activation": "relu"}, ConfigError, r"the setting 'activation' of BertBackbone is unknown"),
        ({"num_layers": 10**12}, BundleError, r"too few for the 1000000000000 layers"),
        ({"num_heads": 3}, ConfigError, r"config\.json: hidden_size must be a multiple"),
        ({"vocabulary_size": 7}, BundleError, r"expected at most the 7 tokens"),
        ({"dropout": "x"}, ConfigError, r"hidden_dropout_prob must be a number"),
    ],
)
def test_wrong_configurations(tmp_path, preset, changes, error, message):
    edit(preset / "config.json", **changes)
    refused(tmp_path, preset, error, message)


def test_another_model_is_refused(tmp_path, preset):
    path = preset / "config.json"
    path.write_text(path.read_text().replace('"BertBackbone"', '"GemmaBackbone"'))
    refused(tmp_path, preset, BundleError, r"expected KerasHub's BertBackbone\. Received: 'GemmaBackbone'$")


def test_objects_of_other_classes_are_never_made(tmp_path, preset):
    edit(preset / "task.json", activation={"class_name": "Lambda", "config": {"code": "x"}})
    (preset / "kbert.json").unlink()
    assert (
        "the activation of the classifier is left out, because kbert's models return logits"
        in convert(preset, tmp_path / "out").notes
    )


def test_a_missing_vocabulary(tmp_path, preset):
    (preset / "assets" / "tokenizer" / "vocabulary.txt").unlink()
    refused(tmp_path, preset, VocabularyError, r"vocabulary\.txt: expected a vocabulary file")


@pytest.mark.parametrize("name", ["../model.weights.h5", "/etc/passwd", 3])
def test_an_index_that_names_other_files(tmp_path, preset, name):
    (preset / "model.weights.h5").unlink()
    (preset / "model.weights.json").write_text(json.dumps({"weight_map": {"/layers/dense/vars": name}}))
    refused(tmp_path, preset, BundleError, r"expected names of files in the same folder")
