import json
import shutil

import pytest

import kbert
from kbert.conversion import convert as module
from kbert.conversion.google import GoogleFormat
from kbert.errors import BundleError, ParityError, UsageError

LOOKED_FOR = r"^expected a model folder .* a checkpoint of Google's code or the Model Garden .* a KerasHub preset .*"


def test_a_source_of_no_known_format(tmp_path):
    with pytest.raises(UsageError, match=LOOKED_FOR + r"holds none of them$"):
        kbert.convert(tmp_path, tmp_path / "out")
    with pytest.raises(UsageError, match=LOOKED_FOR + r"does not exist$"):
        kbert.convert(tmp_path / "nothing", tmp_path / "out")


def test_the_destination_must_not_exist(tmp_path, pretrained):
    with pytest.raises(UsageError, match=r"exists already; name a folder that does not$"):
        kbert.convert(pretrained, tmp_path, to="google")


def test_options_that_do_not_fit(tmp_path, pretrained):
    with pytest.raises(UsageError, match=r"is a model folder already; name the format to convert it to with --to$"):
        kbert.convert(pretrained, tmp_path / "out")
    with pytest.raises(UsageError, match=r"can be converted to bundle, google, keras-hub\. Received: onnx$"):
        kbert.convert(pretrained, tmp_path / "out", to="onnx")
    with pytest.raises(UsageError, match=r"already contains what --config, --vocab, --cased and --uncased are for"):
        kbert.convert(pretrained, tmp_path / "out", to="google", cased=True)
    with pytest.raises(UsageError, match=r"^gelu must be one of erf, tanh\. Received: gelu='new'$"):
        kbert.convert(pretrained, tmp_path / "out", to="google", gelu="new")


def test_several_checkpoints_in_a_folder(tmp_path, pretrained):
    kbert.convert(pretrained, tmp_path / "google", to="google")
    for suffix in ("index", "data-00000-of-00001"):
        path = tmp_path / "google" / f"bert_model.ckpt.{suffix}"
        shutil.copy(path, tmp_path / "google" / f"a.ckpt.{suffix}")
        path.rename(tmp_path / "google" / f"b.ckpt.{suffix}")
    with pytest.raises(UsageError, match=r"holds several checkpoints \(a\.ckpt, b\.ckpt\); name one of them: "):
        kbert.convert(tmp_path / "google", tmp_path / "out")
    assert kbert.convert(tmp_path / "google" / "b.ckpt", tmp_path / "out").tensors == 46


def test_the_encoder_of_a_bundle(tmp_path, classifier):
    result = kbert.convert(classifier, tmp_path / "out", to="bundle", encoder_only=True)
    assert (result.architecture, result.tensors) == ("BertModel", 39)
    assert list(result.differences) == ["sequence_output", "pooled_output"]


def test_a_destination_that_differs_is_not_left_behind(tmp_path, pretrained, monkeypatch):
    write = GoogleFormat.write

    def other(self, bundle, folder, options):
        tensors = bundle.tensors | {"bert.pooler.dense.bias": bundle.tensors["bert.pooler.dense.bias"] + 1}
        write(self, kbert.Bundle(**{**vars(bundle), "tensors": tensors}), folder, options)

    monkeypatch.setattr(GoogleFormat, "write", other)
    with pytest.raises(
        ParityError, match=r"^google: the written tensor bert\.pooler\.dense\.bias differs from the source's"
    ):
        kbert.convert(pretrained, tmp_path / "out", to="google")
    assert not list(tmp_path.iterdir())


def test_outputs_that_differ_are_not_left_behind(tmp_path, pretrained, monkeypatch):
    outputs = module.parity.bundle_outputs
    calls = []

    def other(bundle, batches):
        calls.append(bundle)
        return [
            {name: value + (len(calls) == 2) * 1e-3 for name, value in batch.items()}
            for batch in outputs(bundle, batches)
        ]

    monkeypatch.setattr(module.parity, "bundle_outputs", other)
    with pytest.raises(ParityError, match=r"sequence_output differs from the source's by 0\.001, more than 0\.0001"):
        kbert.convert(pretrained, tmp_path / "out", to="google")
    assert not list(tmp_path.iterdir())


def test_the_heads_that_are_compared_are_those_of_users(tmp_path, classifier, monkeypatch):
    heads, calls = kbert.ClassificationModel.heads, []

    def counted(self, encoded, inputs, training=None):
        calls.append(self)
        shift = 1e-3 * (len(calls) > 2)  # two batches of the source, then two of the destination
        return {"logits": heads(self, encoded, inputs, training)["logits"] + shift}

    monkeypatch.setattr(kbert.ClassificationModel, "heads", counted)
    with pytest.raises(ParityError, match=r"^google: logits differs from the source's by 0\.001, more than 0\.0001"):
        kbert.convert(classifier, tmp_path / "out", to="google")
    assert len(calls) == 4


def test_a_damaged_sidecar(tmp_path, pretrained):
    kbert.convert(pretrained, tmp_path / "google", to="google")
    path = tmp_path / "google" / "kbert.json"
    values = json.loads(path.read_text())
    path.write_text(json.dumps(values | {"conversion": {"config": 3}}))
    with pytest.raises((BundleError, kbert.KbertError), match=r"kbert\.json.*remove"):
        kbert.convert(tmp_path / "google", tmp_path / "out")
    values["conversion"]["config"]["num_hidden_layers"] = 5
    path.write_text(json.dumps(values))
    notes = kbert.convert(tmp_path / "google", tmp_path / "out").notes
    assert any("kbert.json belongs to another model and is ignored" in note for note in notes)
