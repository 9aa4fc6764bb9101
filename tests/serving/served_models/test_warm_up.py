import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from kbert.serving.request_error import RequestError
from kbert.serving.served_models import warm_up as module
from kbert.serving.served_models.warm_up import PATH, warm_up


def signature(outputs=("y",), **inputs):
    result = meta_graph_pb2.SignatureDef()
    for name, (dtype, shape) in inputs.items():
        result.inputs[name].name = f"{name}:0"
        result.inputs[name].dtype = dtype.as_datatype_enum
        for size in shape:
            result.inputs[name].tensor_shape.dim.add(size=size)
    for name in outputs:
        result.outputs[name].name = f"{name}:0"
    return result


class Model:
    """Remembers its calls, or raises an error."""

    def __init__(self, error=None, **signatures):
        self.signatures = signatures
        self.calls = []
        self._error = error

    def run(self, signature_name, inputs, outputs=()):
        self.calls.append((signature_name, {name: array.tolist() for name, array in inputs.items()}, outputs))
        if self._error is not None:
            raise self._error
        return {}


def with_records(folder, *logs):
    path = folder / PATH
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for log in logs:
            writer.write(log.SerializeToString())
    return folder


def predict_log(signature_name="", text=b"a", **inputs):
    log = PredictionLog()
    request = log.predict_log.request
    request.model_spec.name = "another"
    request.model_spec.version.value = 99
    request.model_spec.signature_name = signature_name
    for name, value in (inputs or {"text": [text]}).items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return log


TEXT = {"text": (tf.string, [-1])}


def test_the_requests_of_the_file_are_answered(tmp_path):
    model = Model(serving_default=signature(**TEXT), tokens=signature(outputs=("b", "a"), ids=(tf.int32, [-1, 2])))
    second = predict_log("tokens", ids=[[1, 2]])
    second.predict_log.request.output_filter.append("a")
    warmed = warm_up(model, with_records(tmp_path, predict_log(), second))
    assert warmed.records == 2
    assert warmed.seconds > 0
    assert model.calls == [("serving_default", {"text": [b"a"]}, ("y",)), ("tokens", {"ids": [[1, 2]]}, ("a",))]


def test_examples_are_classified_and_regressed(tmp_path):
    model = Model(
        classify=signature(outputs=("classes", "scores"), inputs=(tf.string, [-1])),
        regress=signature(outputs=("outputs",), inputs=(tf.string, [-1])),
    )
    classify, regress = PredictionLog(), PredictionLog()
    for kind, request in (("classify", classify.classify_log.request), ("regress", regress.regress_log.request)):
        request.model_spec.signature_name = kind
        request.input.example_list.examples.add()
    warm_up(model, with_records(tmp_path, classify, regress))
    assert model.calls == [
        ("classify", {"inputs": [b""]}, ("classes", "scores")),
        ("regress", {"inputs": [b""]}, ("outputs",)),
    ]


def test_logs_of_other_kinds_are_skipped(tmp_path):
    model = Model(serving_default=signature(**TEXT))
    log = PredictionLog()
    log.session_run_log.request.feed.add()
    assert warm_up(model, with_records(tmp_path, log, PredictionLog())).records == 2
    assert model.calls == []


@pytest.mark.parametrize(
    ("log", "error"),
    [
        (predict_log("none"), 'Serving signature key "none" not found.'),
        (predict_log(other=[b"a"]), r"Signature input alias: text\(feed name: text:0\) not found in request"),
    ],
)
def test_a_request_that_does_not_fit_fails(tmp_path, log, error):
    with pytest.raises(RequestError, match=error):
        warm_up(Model(serving_default=signature(**TEXT)), with_records(tmp_path, log))


def test_a_request_that_the_model_refuses_fails(tmp_path):
    model = Model(RequestError("INVALID_ARGUMENT", "expected another text"), serving_default=signature(**TEXT))
    with pytest.raises(RequestError, match="expected another text"):
        warm_up(model, with_records(tmp_path, predict_log()))


def test_the_number_of_requests_is_limited(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_MOST_RECORDS", 2)
    model = Model(serving_default=signature(**TEXT))
    warm_up(model, with_records(tmp_path / "", predict_log(), predict_log()))
    assert len(model.calls) == 2
    with tf.io.TFRecordWriter(str(tmp_path / PATH)) as writer:
        for _ in range(3):
            writer.write(predict_log().SerializeToString())
    with pytest.raises(RequestError, match=r"^Number of warmup records exceeds the maximum \(2\) at "):
        warm_up(model, tmp_path)


@pytest.mark.parametrize(
    "damage", [lambda content: content[:-3], lambda content: content[:20] + b"\xff" + content[21:]]
)
def test_a_damaged_file_fails(tmp_path, damage):
    folder = with_records(tmp_path, predict_log())
    path = folder / PATH
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(RequestError, match=r"^Failed to read warmup records from .* in TFRecord format\.$") as raised:
        warm_up(Model(serving_default=signature(**TEXT)), folder)
    assert raised.value.code == "DATA_LOSS"
    assert "\n" not in str(raised.value)


def test_a_record_that_is_no_request_fails(tmp_path):
    (tmp_path / PATH).parent.mkdir()
    with tf.io.TFRecordWriter(str(tmp_path / PATH)) as writer:
        writer.write(b"\xff\xff")
    with pytest.raises(RequestError, match=r"^Failed to read warmup records"):
        warm_up(Model(serving_default=signature(**TEXT)), tmp_path)


def test_without_a_file_each_signature_gets_a_row(tmp_path):
    model = Model(serving_default=signature(**TEXT), tokens=signature(ids=(tf.int32, [-1, 2]), x=(tf.float32, [])))
    model.signatures["__saved_model_init_op"] = signature()
    assert warm_up(model, tmp_path).records == 0
    assert model.calls == [
        ("serving_default", {"text": [b"warm-up"]}, ()),
        ("tokens", {"ids": [[0, 0]], "x": 0.0}, ()),
    ]


def test_what_the_graph_says_of_a_made_up_row_does_not_matter(tmp_path):
    error = RequestError("INVALID_ARGUMENT", "assertion failed")
    warm_up(Model(error, serving_default=signature(**TEXT)), tmp_path)
    error = RequestError("FAILED_PRECONDITION", "Could not find variable")
    with pytest.raises(RequestError, match="Could not find variable"):
        warm_up(Model(error, serving_default=signature(**TEXT)), tmp_path)


def test_warm_up_gives_arrays_of_the_declared_types(tmp_path):
    seen = []
    model = Model(serving_default=signature(a=(tf.string, [-1]), b=(tf.bfloat16, [-1]), c=(tf.int64, [2])))
    model.run = lambda name, inputs, outputs=(): seen.append({key: array.dtype for key, array in inputs.items()})
    warm_up(model, tmp_path)
    assert seen == [{"a": np.dtype(object), "b": tf.bfloat16.as_numpy_dtype, "c": np.dtype(np.int64)}]
