"""The client in apps/tf_serving repeats requests, with servers that fail as they are told to."""

import concurrent.futures
import contextlib
import http.server
import importlib.util
import json
import socket
import threading
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

CLIENT = Path(__file__).parents[2] / "apps" / "tf_serving" / "client.py"


@pytest.fixture
def client():
    spec = importlib.util.spec_from_file_location("client", CLIENT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Flaky:
    """Answers the first requests with errors, and the next ones with 1 for each text."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.requests = []

    def next_error(self, request):
        self.requests.append(request)
        return self.errors.pop(0) if self.errors else None


@contextlib.contextmanager
def flaky_rest(*errors):
    """A REST server: `errors` are HTTP codes, or pairs of a code and the seconds in Retry-After."""
    flaky = Flaky(*errors)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            error = flaky.next_error(self.path)
            code, seconds = error if isinstance(error, tuple) else (error or 200, None)
            answer = {"error": "busy"} if error else {"predictions": [1] * len(body["instances"])}
            data = json.dumps(answer).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(data)))
            if seconds is not None:
                self.send_header("Retry-After", seconds)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield flaky, ("--url", f"http://127.0.0.1:{server.server_port}")
        server.shutdown()


@contextlib.contextmanager
def flaky_grpc(*errors):
    """A gRPC server: `errors` are names of codes."""
    flaky = Flaky(*errors)

    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):
            error = flaky.next_error(request.model_spec)
            if error:
                context.abort(grpc.StatusCode[error], "busy")
            rows = request.inputs["text"].tensor_shape.dim[0].size
            return predict_pb2.PredictResponse(outputs={"ones": tf.make_tensor_proto(np.ones(rows, np.int64))})

    server = grpc.server(concurrent.futures.ThreadPoolExecutor(1))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield flaky, ("--grpc", f"127.0.0.1:{port}")
    server.stop(None).wait()


@pytest.fixture
def pauses(monkeypatch, client):
    """The pauses that the client makes; time passes by them alone, and at once."""
    made = []
    monkeypatch.setattr(client.time, "sleep", made.append)
    monkeypatch.setattr(client.time, "monotonic", lambda: 1000.0 + sum(made))
    return made


ASKED = ("--model", "m", "--inputs", "text", "a", "b")
ANSWERED = '{"text": "a", "prediction": 1}\n{"text": "b", "prediction": 1}\n'


@pytest.mark.parametrize(
    ("flaky", "errors"),
    [
        (flaky_rest, [503, 429]),
        (flaky_grpc, ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]),
    ],
)
def test_a_busy_server_is_asked_again(client, pauses, capsys, flaky, errors):
    with flaky(*errors) as (server, where):
        assert client.main([*where, *ASKED]) == 0
    assert capsys.readouterr().out == ANSWERED
    assert len(server.requests) == 3
    assert 0.125 <= pauses[0] <= 0.25 <= pauses[1] <= 0.5


@pytest.mark.parametrize(("flaky", "error"), [(flaky_rest, 503), (flaky_grpc, "UNAVAILABLE")])
def test_retries_end(client, pauses, capsys, flaky, error):
    with flaky(*[error] * 20) as (server, where):
        assert client.main([*where, *ASKED, "--retries", "7"]) == 1
        assert len(server.requests) == 8
        assert max(pauses) <= 5.0
        assert client.main([*where, *ASKED, "--retries", "0"]) == 1
        assert len(server.requests) == 9
        # The pauses of at least 0.125, 0.25 and 0.5 seconds do not all fit into the time.
        assert client.main([*where, *ASKED, "--retries", "9", "--timeout", "0.8"]) == 1
        assert 11 <= len(server.requests) <= 12
    assert capsys.readouterr().err.count("busy\n") == 3


@pytest.mark.parametrize(("flaky", "error"), [(flaky_rest, 400), (flaky_rest, 500), (flaky_grpc, "INTERNAL")])
def test_other_errors_are_final(client, pauses, flaky, error):
    with flaky(error) as (server, where):
        assert client.main([*where, *ASKED]) == 1
        assert len(server.requests) == 1
    assert pauses == []


def test_the_server_may_ask_for_a_longer_pause(client, pauses):
    with flaky_rest((503, "3"), (503, "3600"), (503, "Wed, 21 Oct 2015 07:28:00 GMT")) as (_, where):
        assert client.main([*where, *ASKED]) == 0
    assert pauses[:2] == [3.0, 5.0]
    assert pauses[2] <= 1.0


def test_versions_and_labels_are_part_of_the_request(client):
    with flaky_rest() as (server, where):
        assert client.main([*where, *ASKED, "--label", "canary"]) == 0
        assert client.main([*where, *ASKED, "--version", "3"]) == 0
    assert server.requests == ["/v1/models/m/labels/canary:predict", "/v1/models/m/versions/3:predict"]
    with flaky_grpc() as (server, where):
        assert client.main([*where, *ASKED, "--label", "canary"]) == 0
        assert client.main([*where, *ASKED, "--version", "3"]) == 0
        assert client.main([*where, *ASKED]) == 0
    canary, third, default = server.requests
    assert (canary.name, canary.version_label, canary.signature_name) == ("m", "canary", "serving_default")
    assert (third.WhichOneof("version_choice"), third.version.value) == ("version", 3)
    assert default.WhichOneof("version_choice") is None


def test_a_server_that_gives_no_answer_in_time(client, capsys):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        assert client.main(["--url", f"http://{address}", *ASKED, "--timeout", "0.2"]) == 1
        assert "timed out" in capsys.readouterr().err
        assert client.main(["--grpc", address, *ASKED, "--timeout", "0.2"]) == 1
        assert "failed with DEADLINE_EXCEEDED" in capsys.readouterr().err
