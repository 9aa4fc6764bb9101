import grpc
import numpy as np
import pytest
from conformance import grpc_examples, grpc_models, grpc_predict
from conformance.client import call, check_grpc


def rows(table):
    return pytest.mark.parametrize("row", table, ids=lambda row: row.name)


@rows(grpc_predict.ROWS)
def test_predict(server, row):
    check_grpc(server, row)


@rows(grpc_predict.LABEL_ROWS)
def test_predict_by_labels(labelled, row):
    check_grpc(labelled, row)


@rows(grpc_examples.ROWS)
def test_classify_regress_and_multi_inference(server, row):
    check_grpc(server, row)


@rows(grpc_models.ROWS)
def test_metadata_and_status(server, row):
    check_grpc(server, row)


def test_a_call_that_takes_too_long_ends_by_its_deadline_and_the_server_answers_on(server):
    # predict: run_options gets the time that is left (prediction_service_impl.cc).
    slow = (
        'model_spec { name: "troubles" signature_name: "slow" } inputs { key: "rounds" value '
        "{ dtype: DT_INT32 tensor_shape { dim { size: 1 } } int_val: 2000000000 } }"
    )
    with pytest.raises(grpc.RpcError) as caught:
        call(server, "Predict", slow, timeout=0.5)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    request = 'model_spec { name: "half_plus_two" } inputs { key: "x" value { dtype: DT_FLOAT float_val: 6 } }'
    assert call(server, "Predict", request).outputs["y"].float_val == [5.0]


def test_tensors_may_be_larger_than_grpcs_own_limit(server):
    # server.cc sets the largest message to 2^31 - 1 bytes; gRPC's own limit is 4 MiB.
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    numbers = np.arange(1_500_000, dtype=np.float32).reshape(1500, 1000)
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "echo"
    tensor = request.inputs["x"]
    tensor.dtype = 1
    for size in numbers.shape:
        tensor.tensor_shape.dim.add(size=size)
    tensor.tensor_content = numbers.tobytes()
    with grpc.insecure_channel(server.grpc_address, [("grpc.max_receive_message_length", -1)]) as channel:
        response = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=60)
    assert np.array_equal(np.array(response.outputs["y"].float_val, np.float32), numbers.reshape(-1))


@pytest.mark.parametrize(
    ("service", "code"),
    [("", "OK"), ("PredictionService", "OK"), ("ModelService", "OK"), ("SessionService", "NOT_FOUND")],
)
def test_the_health_service_knows_the_services_by_name(server, service, code):
    # server.cc: EnableDefaultHealthCheckService and SetServingStatus. The messages have one field each.
    name = service.encode()
    with grpc.insecure_channel(server.grpc_address) as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        try:
            found, state = "OK", check(b"\x0a" + bytes([len(name)]) + name, timeout=60)
        except grpc.RpcError as problem:
            found, state = problem.code().name, None
    assert found == code
    assert state == (b"\x08\x01" if code == "OK" else None)  # the field 1 with the value SERVING


def test_a_method_that_nobody_offers_is_unimplemented(server):
    with grpc.insecure_channel(server.grpc_address) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/tensorflow.serving.PredictionService/Explain")(b"", timeout=60)
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
