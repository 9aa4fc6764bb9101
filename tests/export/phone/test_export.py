import warnings

import numpy as np
import pytest
import tensorflow as tf

from kbert.errors import ExportError, ParityError, UsageError
from kbert.export import parity
from kbert.export.phone import export as litert
from kbert.export.phone.export import export_litert, run_litert
from kbert.inference.packed_encoder import PackedEncoder
from kbert.prediction.loading import load

TEXTS = ["the cat sat on the mat .", "", "zzz 中文", "unaffable dogs !", "the " * 50]


def interpreter(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the interpreter's notice of its own future
        return tf.lite.Interpreter(str(path))


def answers(path, model, length, pairs=None):
    encode = model.text_model.encode
    batch = type(encode)(encode.tokenizer, length)(
        *(tf.constant(values) for values in (TEXTS, pairs) if values is not None)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outputs = run_litert(path.read_bytes(), {name: value.numpy() for name, value in batch.items()}, length)
    return outputs["probabilities"]


@pytest.fixture(scope="module")
def exports(tmp_path_factory, classifier):
    folder = tmp_path_factory.mktemp("litert")
    return {
        quantize: export_litert(classifier, output=folder / f"{quantize}.tflite", quantize=quantize)
        for quantize in ("none", "float16", "dynamic")
    }


@pytest.mark.parametrize(("quantize", "tolerance"), [("none", 1e-4), ("float16", 1e-2), ("dynamic", 0.25)])
def test_it_answers_as_the_bundle_does(exports, classifier, quantize, tolerance):
    model = load(classifier)
    expected = model.answers(TEXTS)["probabilities"]
    received = answers(exports[quantize], model, 24)
    np.testing.assert_allclose(received, expected, rtol=0, atol=tolerance)
    np.testing.assert_allclose(received.sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize("quantize", ["none", "float16", "dynamic"])
def test_all_operations_are_built_in(exports, quantize):
    names = {
        operation["op_name"]
        for operation in interpreter(exports[quantize])._get_ops_details()
        if operation["op_name"] != "DELEGATE"
    }
    assert {"FULLY_CONNECTED", "SOFTMAX", "TANH", "GELU"} <= names
    assert not [name for name in names if name.startswith(("Flex", "CUSTOM")) or name != name.upper()]


def test_inputs_and_outputs(exports):
    signatures = interpreter(exports["none"]).get_signature_list()
    assert signatures == {
        "serving_default": {
            "inputs": ["input_mask", "input_type_ids", "input_word_ids"],
            "outputs": ["probabilities"],
        }
    }
    runner = interpreter(exports["none"]).get_signature_runner()
    for detail in runner.get_input_details().values():
        assert (detail["shape"].tolist(), detail["dtype"]) == ([1, 24], np.int32)
    (detail,) = runner.get_output_details().values()
    assert (detail["shape"].tolist(), detail["dtype"]) == ([1, 3], np.float32)


def test_quantized_models_are_smaller(tmp_path, make_classifier, small_config):
    """Of a width at which weights are most of the file."""
    config = small_config.replace(hidden_size=128, intermediate_size=512)
    folder = make_classifier(tmp_path / "wide", config=config)
    sizes = {
        quantize: export_litert(folder, output=tmp_path / quantize, quantize=quantize).stat().st_size
        for quantize in ("none", "float16", "dynamic")
    }
    assert sizes["float16"] < 0.6 * sizes["none"]
    assert sizes["dynamic"] < 0.4 * sizes["none"]


@pytest.mark.parametrize("hidden_act", ["gelu_new", "relu"])
def test_activations_and_lengths(tmp_path, make_classifier, small_config, hidden_act):
    folder = make_classifier(tmp_path / "model", config=small_config.replace(hidden_act=hidden_act))
    path = export_litert(folder, output=tmp_path / "model.tflite", sequence_length=9)
    model = load(folder)
    encode = type(model.text_model.encode)(model.text_model.encode.tokenizer, 9)
    expected = model.text_model.from_tokens(**encode(tf.constant(TEXTS)))["probabilities"]
    np.testing.assert_allclose(answers(path, model, 9), expected, rtol=0, atol=1e-4)


def test_pairs(tmp_path, pair_classifier):
    path = export_litert(pair_classifier, output=tmp_path / "pairs.tflite")
    model = load(pair_classifier)
    expected = model.answers(TEXTS, TEXTS[::-1])["probabilities"]
    np.testing.assert_allclose(answers(path, model, 24, TEXTS[::-1]), expected, rtol=0, atol=1e-4)


def test_an_export_that_answers_otherwise_is_not_written(tmp_path, classifier, monkeypatch):
    monkeypatch.setitem(parity._LITERT_TOLERANCES, "none", -1.0)
    with pytest.raises(
        ParityError, match=r"^the LiteRT model \(none\): probabilities must differ .* nothing was written$"
    ):
        export_litert(classifier, output=tmp_path / "model.tflite")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quantize": "int4"}, r"^quantize must be one of none, float16, dynamic\. Received: quantize='int4'$"),
        ({"sequence_length": 33}, r"^sequence_length must be from 5 to the model's 32 positions\. "),
        ({"sequence_length": 4}, r"^sequence_length must be at least 5\. Received: sequence_length=4$"),
        ({"sequence_length": 0}, r"^sequence_length must be at least 5\. Received: sequence_length=0$"),
    ],
)
def test_options_that_cannot_be(tmp_path, classifier, options, message):
    with pytest.raises(UsageError, match=message):
        export_litert(classifier, output=tmp_path / "model.tflite", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_task_that_litert_cannot_run(tmp_path, pretrained):
    with pytest.raises(
        UsageError, match=r"^expected a task whose model reads one row of tokens\. Received: fill-mask; use"
    ):
        export_litert(pretrained, output=tmp_path / "model.tflite")


def test_an_operation_that_is_not_built_in_is_refused(classifier, monkeypatch):
    """A graph that the converter cannot express ends in one line."""
    loaded = load(classifier)
    monkeypatch.setattr(
        PackedEncoder,
        "_normalize",
        lambda self, values, norm: tf.linalg.sqrtm(values @ tf.transpose(values)) @ values,
    )
    with pytest.raises(ExportError, match=r"^expected a model of LiteRT's built-in operations\. Received: "):
        litert._convert(loaded, 8, "none")
