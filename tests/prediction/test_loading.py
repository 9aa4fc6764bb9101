import json
import shutil

import numpy as np
import pytest
import safetensors.numpy

from kbert.errors import BundleError, UsageError
from kbert.prediction.loading import load


def test_a_model_for_no_task(tmp_path, pretrained):
    folder = shutil.copytree(pretrained, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["BertForNextSentencePrediction"]}))
    with pytest.raises(
        BundleError,
        match=r"is not for any task \(BertForNextSentencePrediction\); fine-tune it with `kbert finetune`, ",
    ):
        load(folder)


def test_a_task_without_its_settings(tmp_path, classifier):
    folder = shutil.copytree(classifier, tmp_path / "model")
    settings = json.loads((folder / "kbert.json").read_text())
    del settings["task"]["labels"]
    (folder / "kbert.json").write_text(json.dumps(settings))
    with pytest.raises(BundleError, match=r"the task in kbert\.json cannot be used \('labels'\)$"):
        load(folder)


@pytest.mark.parametrize("name", ["classifier.bias", "bert.encoder.layer.1.output.dense.weight"])
def test_weights_that_lack_a_tensor(tmp_path, classifier, name):
    folder = shutil.copytree(classifier, tmp_path / "model")
    tensors = safetensors.numpy.load_file(folder / "model.safetensors")
    del tensors[name]
    safetensors.numpy.save_file(tensors, folder / "model.safetensors")
    with pytest.raises(BundleError, match=rf"expected the tensor {name} of shape \["):
        load(folder)


def test_weights_of_another_shape_than_the_config_says(tmp_path, classifier):
    folder = shutil.copytree(classifier, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 128}))
    with pytest.raises(BundleError, match=r"must have the shape \[128, 32\], which config\.json requires"):
        load(folder)


@pytest.mark.long
def test_the_engine_litert_predicts_like_tensorflow(classifier):
    texts = ["the cat sat", "", "a dog ran fast on the mat"]
    expected, litert = load(classifier).answers(texts), load(classifier, engine="litert")
    np.testing.assert_allclose(litert.answers(texts)["probabilities"], expected["probabilities"], rtol=0, atol=2e-5)
    assert [row["label"] for row in litert.predict(texts)] == [label.decode() for label in expected["label"]]
    int8 = load(classifier, engine="litert", quantize="dynamic").answers(texts)["probabilities"]
    assert 1e-5 < np.abs(int8 - expected["probabilities"]).max() < 0.2


def test_int8_is_for_the_engine_litert(classifier):
    with pytest.raises(UsageError, match=r"^quantize='dynamic' needs engine='litert'\. Received: engine='tensorflow'"):
        load(classifier, quantize="dynamic")
