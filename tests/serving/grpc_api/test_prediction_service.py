import threading

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    inference_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from kbert.serving.options import ServeOptions
from kbert.serving.server import running_server

EXAMPLES = [tf.TensorSpec([None], tf.string, name="inputs")]


class Model(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def serving_default(self, text):
        return {"length": tf.strings.length(text), "upper": tf.strings.upper(text)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int8, name="x")])
    def small(self, x):
        return {"x": x}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.complex64, name="x")])
    def imaginary(self, x):
        return {"x": x}

    @tf.function(input_signature=EXAMPLES)
    def classify(self, inputs):
        size = tf.size(inputs)
        return {"classes": tf.fill([size, 1], "good"), "scores": tf.fill([size, 1], 0.5)}

    @tf.function(input_signature=EXAMPLES)
    def regress(self, inputs):
        return {"outputs": tf.cast(tf.strings.length(inputs), tf.float32)}

    @tf.function(input_signature=[tf.TensorSpec([], tf.int32, name="rounds")])
    def slow(self, rounds):
        return {"rounds": tf.while_loop(lambda i: i < rounds, lambda i: [i + 1], [0])[0]}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def many(self, x):
        return {f"y{number}": x for number in range(7)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    base = tmp_path_factory.mktemp("models")
    model = Model()
    names = ("serving_default", "small", "imaginary", "classify", "regress", "slow", "many")
    tf.saved_model.save(model, str(base / "m" / "3"), signatures={name: getattr(model, name) for name in names})
    return base


@pytest.fixture(scope="module")
def channel(folder):
    options = ServeOptions(grpc_port=0, rest=False)
    with running_server(folder, options=options) as server, grpc.insecure_channel(server.grpc_address) as channel:
        yield channel


@pytest.fixture(scope="module")
def predictions(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


def predict_request(signature="", name="m", output_filter=(), **inputs):
    request = predict_pb2.PredictRequest(output_filter=output_filter)
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(
            value if isinstance(value, tensor_pb2.TensorProto) else tf.make_tensor_proto(value)
        )
    return request


def failed(call, request, code, message, **options):
    with pytest.raises(grpc.RpcError) as raised:
        call(request, timeout=options.pop("timeout", 20), **options)
    assert (raised.value.code().name, raised.value.details()) == (code, message)


def test_predict(predictions):
    response = predictions.Predict(predict_request(text=["ab", "c"]))
    assert sorted(response.outputs) == ["length", "upper"]
    assert tf.make_ndarray(response.outputs["length"]).tolist() == [2, 1]
    assert list(response.outputs["upper"].string_val) == [b"AB", b"C"]
    spec = response.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("m", 3, "serving_default")


def test_the_outputs_may_be_chosen_in_any_order(predictions):
    request = predict_request(text=["ab"], output_filter=["upper", "length"])
    assert sorted(predictions.Predict(request).outputs) == ["length", "upper"]
    assert sorted(predictions.Predict(predict_request(text=["ab"], output_filter=["upper"])).outputs) == ["upper"]
    message = "output tensor alias not found in signature: z Outputs expected to be in the set {length,upper}."
    failed(predictions.Predict, predict_request(text=["a"], output_filter=["z"]), "INVALID_ARGUMENT", message)
    request = predict_request(text=["a"], output_filter=["upper", "upper"])
    failed(predictions.Predict, request, "INVALID_ARGUMENT", "duplicate output tensor alias: upper")


def test_numbers_may_come_as_bytes(predictions):
    proto = tensor_pb2.TensorProto(dtype=tf.int8.as_datatype_enum, tensor_content=b"\x01\xff")
    proto.tensor_shape.dim.add(size=2)
    response = predictions.Predict(predict_request("small", x=proto))
    assert list(response.outputs["x"].int_val) == [1, -1]
    response = predictions.Predict(predict_request("imaginary", x=np.array([1 + 2j], np.complex64)))
    assert list(response.outputs["x"].scomplex_val) == [1.0, 2.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dtype: DT_INT8 tensor_shape { dim { size: 1 } } int_val: 300", "tensor parsing error: x: "),
        (
            "dtype: DT_INT8 tensor_shape { dim { size: 3 } } tensor_content: 'ab'",
            "tensor parsing error: x: ",
        ),
        (
            "dtype: DT_INT8 tensor_shape { dim { size: 2 } } int_val: 1 int_val: 2 int_val: 3",
            "tensor parsing error: x: expected 2 values",
        ),
        (
            "dtype: DT_INT8 tensor_shape { dim { size: -1 } } int_val: 1",
            "tensor parsing error: x: expected a shape",
        ),
        (
            "dtype: DT_INT8 tensor_shape { unknown_rank: true } int_val: 1",
            "tensor parsing error: x: expected a shape",
        ),
        (
            "dtype: DT_RESOURCE tensor_shape { dim { size: 1 } }",
            "tensor parsing error: x: expected a tensor",
        ),
        ("dtype: DT_HALF tensor_shape { dim { size: 1 } } half_val: 99999", "tensor parsing error: x: "),
        (
            "dtype: DT_STRING tensor_shape { dim { size: 1 } } tensor_content: 'a'",
            "tensor parsing error: x: ",
        ),
        (
            "dtype: DT_FLOAT tensor_shape { dim { size: 1 } } float_val: 1",
            "Expects arg[0] (x, small_x:0) to be int8",
        ),
        (
            "dtype: DT_INT8 tensor_shape { dim { size: 100000 } dim { size: 100000 } } int_val: 1",
            "tensor parsing error: x: expected 10000000000 values",
        ),
    ],
)
def test_a_tensor_that_is_not_valid_is_told(predictions, text, message):
    proto = text_format.Parse(text, tensor_pb2.TensorProto())
    with pytest.raises(grpc.RpcError) as raised:
        predictions.Predict(predict_request("small", x=proto), timeout=20)
    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert raised.value.details().startswith(message)


def test_requests_for_what_is_not_there(predictions):
    call = predictions.Predict
    failed(call, predict_pb2.PredictRequest(), "INVALID_ARGUMENT", "Missing ModelSpec")
    failed(call, predict_request(name=""), "INVALID_ARGUMENT", "ModelSpec has no name specified.")
    failed(call, predict_request(name="x"), "NOT_FOUND", "Servable not found for request: Latest(x)")
    failed(call, predict_request("s"), "FAILED_PRECONDITION", 'Serving signature key "s" not found.')
    with pytest.raises(grpc.RpcError) as raised:
        call(predict_request("__saved_model_init_op"), timeout=20)
    assert raised.value.code() == grpc.StatusCode.OUT_OF_RANGE  # of TensorFlow: the operation has no output
    request = predict_request()
    request.model_spec.version.value = 5
    failed(call, request, "NOT_FOUND", "Servable not found for request: Specific(m, 5)")
    request.model_spec.version_label = "best"
    failed(call, request, "INVALID_ARGUMENT", "Unrecognized servable version label: best")
    message = (
        "Signature input alias: text(feed name: serving_default_text:0) not found in request and no default value "
        "provided. Inputs expected to be in the set {text}."
    )
    failed(call, predict_request(z=["a"]), "INVALID_ARGUMENT", message)


def test_classify_and_regress(predictions):
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name, request.model_spec.signature_name = "m", "classify"
    request.input.example_list.examples.add()
    response = predictions.Classify(request)
    (row,) = response.result.classifications
    assert [(each.label, each.score) for each in row.classes] == [("good", 0.5)]
    request = regression_pb2.RegressionRequest()
    request.model_spec.name, request.model_spec.signature_name = "m", "regress"
    for _ in range(2):
        request.input.example_list.examples.add()
    assert [each.value for each in predictions.Regress(request).result.regressions] == [0.0, 0.0]
    request.input.ClearField("example_list")
    failed(predictions.Regress, request, "INVALID_ARGUMENT", "Input is empty.")


def multi(*tasks):
    request = inference_pb2.MultiInferenceRequest()
    request.input.example_list.examples.add()
    for name, signature, method in tasks:
        task = request.tasks.add(method_name=method)
        task.model_spec.name, task.model_spec.signature_name = name, signature
    return request


CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"


def test_several_inferences_of_the_same_examples(predictions):
    response = predictions.MultiInference(multi(("m", "classify", CLASSIFY), ("m", "regress", REGRESS)))
    classes, values = response.results
    assert classes.classification_result.classifications[0].classes[0].label == "good"
    assert values.regression_result.regressions[0].value == 0.0
    call = predictions.MultiInference
    failed(call, multi(), "INVALID_ARGUMENT", "ModelSpec has no name specified.")
    message = "All ModelSpecs in a MultiInferenceRequest must access the same model name."
    failed(call, multi(("m", "classify", CLASSIFY), ("x", "regress", REGRESS)), "INVALID_ARGUMENT", message)
    # The first model is looked for before the other tasks and the examples are looked at.
    message = "Servable not found for request: Latest(x)"
    request = multi(("x", "classify", CLASSIFY), ("m", "regress", REGRESS))
    request.ClearField("input")
    failed(call, request, "NOT_FOUND", message)
    failed(call, multi(("", "classify", CLASSIFY)), "INVALID_ARGUMENT", "ModelSpec has no name specified.")
    message = "Duplicate evaluation of signature: regress"
    failed(call, multi(("m", "regress", REGRESS), ("m", "regress", REGRESS)), "INVALID_ARGUMENT", message)
    failed(call, multi(("m", "regress", "x")), "UNIMPLEMENTED", "Unsupported signature method_name: x")


def test_metadata(predictions):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "m"
    response = predictions.GetModelMetadata(request)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert "serving_default" in signatures.signature_def
    assert response.model_spec.version.value == 3
    request.metadata_field[:] = ["x"]
    failed(predictions.GetModelMetadata, request, "INVALID_ARGUMENT", "Metadata field x is not supported")


def test_the_deadline_of_a_call_ends_it(predictions):
    with pytest.raises(grpc.RpcError) as raised:
        predictions.Predict(predict_request("slow", rounds=np.int32(50_000_000)), timeout=0.3)
    assert raised.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert predictions.Predict(predict_request("slow", rounds=np.int32(1)), timeout=20).outputs["rounds"].int_val == [1]


def test_a_call_that_the_client_cancels_does_not_disturb_others(predictions):
    future = predictions.Predict.future(predict_request("slow", rounds=np.int32(300_000)))
    threading.Timer(0.1, future.cancel).start()
    with pytest.raises(grpc.FutureCancelledError):
        future.result(timeout=20)
    assert predictions.Predict(predict_request("small", x=np.array([5], np.int8))).outputs["x"].int_val == [5]


def test_any_choice_of_outputs_is_answered_and_needs_a_bounded_memory(folder, predictions, monkeypatch):
    from kbert.serving.served_models.served_version import ServedVersion

    seen = set()
    submit = ServedVersion.submit

    def recorded(self, signature_name, inputs, outputs):
        future = submit(self, signature_name, inputs, outputs)
        seen.add(len(self._queues))
        return future

    monkeypatch.setattr(ServedVersion, "submit", recorded)
    names = [f"y{number}" for number in range(7)]
    for choice in range(1, 2**7):
        wanted = [name for bit, name in enumerate(names) if choice >> bit & 1]
        response = predictions.Predict(predict_request("many", x=np.ones(1, np.float32), output_filter=wanted))
        assert sorted(response.outputs) == wanted
    assert max(seen) <= 64 + 7  # the limit, and all outputs of each signature
