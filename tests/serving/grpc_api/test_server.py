import contextlib
import socket
import time

import grpc
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

from kbert.errors import ServingError
from kbert.serving.grpc_api.server import tls_credentials
from kbert.serving.options import ServeOptions
from kbert.serving.server import running_server


class Model(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def serving_default(self, text):
        return {"text": text}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    base = tmp_path_factory.mktemp("models")
    tf.saved_model.save(Model(), str(base / "m" / "1"))
    return base


def status(channel, **options):
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "m"
    return model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(request, timeout=20, **options)


def test_health_is_that_of_all_wanted_versions(folder, tmp_path):
    (tmp_path / "m").symlink_to(folder / "m")
    kinds = health_pb2.HealthCheckResponse
    options = ServeOptions(grpc_port=0, rest=False, poll_seconds=0.05)
    with running_server(tmp_path, options=options) as server, grpc.insecure_channel(server.grpc_address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for name in ("", "PredictionService", "ModelService", "tensorflow.serving.PredictionService"):
            assert health.Check(health_pb2.HealthCheckRequest(service=name), timeout=20).status == kinds.SERVING
        with pytest.raises(grpc.RpcError) as raised:
            health.Check(health_pb2.HealthCheckRequest(service="none"), timeout=20)
        assert raised.value.code() == grpc.StatusCode.NOT_FOUND
        broken = tmp_path / "broken" / "1"
        broken.mkdir(parents=True)
        (broken / "saved_model.pb").write_bytes(b"x")
        for _ in range(200):
            answer = health.Check(health_pb2.HealthCheckRequest(), timeout=20).status
            if answer == kinds.NOT_SERVING:
                break
        assert answer == kinds.NOT_SERVING


def test_clients_that_watch_the_health_are_told_of_changes_and_do_not_hold_up_the_end(folder, tmp_path):
    (tmp_path / "m").symlink_to(folder / "m")
    kinds = health_pb2.HealthCheckResponse
    options = ServeOptions(grpc_port=0, rest=False, poll_seconds=0.05)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(running_server(tmp_path, options=options))
        with grpc.insecure_channel(server.grpc_address) as channel:
            request = health_pb2.HealthCheckRequest(service="PredictionService")
            states = health_pb2_grpc.HealthStub(channel).Watch(request, timeout=60)
            assert next(states).status == kinds.SERVING
            broken = tmp_path / "broken" / "1"
            broken.mkdir(parents=True)
            (broken / "saved_model.pb").write_bytes(b"x")
            assert next(states).status == kinds.NOT_SERVING
            start = time.monotonic()
            stack.close()
            assert time.monotonic() - start < 20
            assert list(states) == []


def test_a_key_is_demanded_but_for_health(folder, tmp_path):
    (tmp_path / "key").write_text("secret")
    options = ServeOptions(grpc_port=0, rest=False, api_key_file=tmp_path / "key")
    with running_server(folder, options=options) as server, grpc.insecure_channel(server.grpc_address) as channel:
        for metadata in ((), (("authorization", "Bearer wrong"),), (("authorization", "secret"),)):
            with pytest.raises(grpc.RpcError) as raised:
                status(channel, metadata=metadata)
            assert raised.value.code() == grpc.StatusCode.UNAUTHENTICATED
        for metadata in ((("authorization", "Bearer secret"),), (("x-api-key", "secret"),)):
            assert len(status(channel, metadata=metadata).model_version_status) == 1
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=20)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_a_message_that_is_too_long_is_refused(folder):
    options = ServeOptions(grpc_port=0, rest=False, max_body_bytes=1000)
    with running_server(folder, options=options) as server, grpc.insecure_channel(server.grpc_address) as channel:
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = "m" * 1001
        with pytest.raises(grpc.RpcError) as raised:
            model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(request, timeout=20)
        assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert len(status(channel).model_version_status) == 1


def test_bytes_that_are_no_message_are_refused(folder):
    options = ServeOptions(grpc_port=0, rest=False)
    with running_server(folder, options=options) as server, grpc.insecure_channel(server.grpc_address) as channel:
        call = channel.unary_unary("/tensorflow.serving.ModelService/GetModelStatus")
        with pytest.raises(grpc.RpcError) as raised:
            call(b"\xff\xff\xff", timeout=20)
        assert raised.value.code() == grpc.StatusCode.INTERNAL  # gRPC's own answer
        with pytest.raises(grpc.RpcError) as raised:
            channel.unary_unary("/tensorflow.serving.ModelService/None")(b"", timeout=20)
        assert raised.value.code() == grpc.StatusCode.UNIMPLEMENTED
        assert len(status(channel).model_version_status) == 1


def test_a_port_in_use_is_named(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        options = ServeOptions(grpc_port=port, rest=False)
        with pytest.raises(ServingError, match=f"expected a free port for gRPC. Received: 127.0.0.1:{port}, which is"):
            running_server(folder, options=options).__enter__()


def test_certificates_that_cannot_be_read_are_told(tmp_path):
    with pytest.raises(ServingError, match=r"^expected a file in PEM format\. Received: .*none"):
        tls_credentials(tmp_path / "none", tmp_path / "none")
