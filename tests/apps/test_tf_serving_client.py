import concurrent.futures
import contextlib
import http.server
import importlib.util
import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from kbert.serving.server import running_server

CLIENT = Path(__file__).parents[2] / "apps" / "tf_serving" / "client.py"


class Texts(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def length(self, text):
        return {"length": tf.strings.length(text), "upper": tf.strings.upper(text)}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, name="text"),
            tf.TensorSpec([None], tf.string, name="text_pair"),
        ]
    )
    def join(self, text, text_pair):
        return {"joined": text + "|" + text_pair}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, name="question"),
            tf.TensorSpec([None], tf.string, name="context"),
        ]
    )
    def answer(self, question, context):
        return {"answer": question + "?" + context}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def numbers(self, text):
        thirds = tf.cast(tf.strings.length(text), tf.float32) / 3
        return {"thirds": tf.stack([thirds, -thirds], axis=1), "raw_bytes": text, "long": tf.strings.length(text) > 3}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def total(self, text):
        return {"total": tf.reduce_sum(tf.strings.length(text), keepdims=True)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def classify(self, inputs):
        length = tf.cast(_texts(inputs), tf.float32)
        classes = tf.tile([["short", "long"]], [tf.size(length), 1])
        return {"classes": classes, "scores": tf.stack([1 - length / 8, length / 8], axis=1)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def regress(self, inputs):
        return {"outputs": tf.cast(_texts(inputs), tf.float32)}


def _texts(examples):
    """The length of the feature `text` of serialized tf.Examples, without that of `text_pair`."""
    missing = tf.constant([""])
    features = {
        "text": tf.io.FixedLenFeature([1], tf.string),
        "text_pair": tf.io.FixedLenFeature([1], tf.string, missing),
    }
    parsed = tf.io.parse_example(examples, features)
    return tf.strings.length(parsed["text"][:, 0]) - tf.strings.length(parsed["text_pair"][:, 0])


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    base = tmp_path_factory.mktemp("saved_models")
    texts = Texts()
    signatures = {
        "serving_default": texts.length,
        **{name: getattr(texts, name) for name in ("join", "answer", "numbers", "total", "classify", "regress")},
    }
    tf.saved_model.save(texts, str(base / "texts" / "1"), signatures=signatures)
    with running_server(base) as server:
        yield server


@pytest.fixture
def url(server):
    return server.url


@pytest.fixture
def client():
    spec = importlib.util.spec_from_file_location("client", CLIENT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=["REST", "gRPC"])
def ask(request, server, client, capsys):
    """A function that runs the client in this process, with either API."""
    where = ("--url", server.url) if request.param == "REST" else ("--grpc", server.grpc_address)

    def run(*arguments):
        code = client.main([*where, "--model", "texts", *arguments])
        printed = capsys.readouterr()
        return code, [json.loads(line) for line in printed.out.splitlines()], printed.err

    return run


def run(*arguments):
    """The exit code, the lines of the output, and the error output of the client."""
    ended = subprocess.run(
        [sys.executable, str(CLIENT), *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    return ended.returncode, ended.stdout.splitlines(), ended.stderr


def test_one_line_for_each_text(url):
    code, lines, errors = run("--url", url, "--model", "texts", "one", "due")
    assert (code, errors) == (0, "")
    assert [json.loads(line) for line in lines] == [
        {"text": "one", "prediction": {"length": 3, "upper": "ONE"}},
        {"text": "due", "prediction": {"length": 3, "upper": "DUE"}},
    ]


def test_pairs(url):
    code, lines, _ = run(
        *("--url", url + "/", "--model", "texts", "--version", "1", "--signature", "join"),
        *("a", "b", "--pair", "c", "--pair", "d"),
    )
    assert code == 0
    assert lines == [
        '{"text": "a", "text_pair": "c", "prediction": "a|c"}',
        '{"text": "b", "text_pair": "d", "prediction": "b|d"}',
    ]


def test_inputs_are_named_where_their_order_cannot_be_told(url):
    asked = ("--url", url, "--model", "texts", "--signature", "answer", "who", "--pair", "me")
    code, _, errors = run(*asked)
    assert code == 1
    assert errors == ("error: name the model's inputs in the order of your texts: --inputs context,question\n")
    code, lines, _ = run(*asked, "--inputs", "question,context")
    assert (code, lines) == (0, ['{"question": "who", "context": "me", "prediction": "who?me"}'])


def test_the_server_says_no_in_one_line(url):
    code, lines, errors = run("--url", url, "--model", "none", "a")
    assert (code, lines) == (1, [])
    assert errors == (
        f"error: {url}/v1/models/none/metadata answers 404: Servable not found for request: Latest(none)\n"
    )


def test_no_server(url):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    code, _, errors = run("--url", f"http://127.0.0.1:{port}", "--model", "texts", "a")
    assert code == 1
    assert "Connection refused" in errors
    assert errors.endswith("is the server running there?\n")
    assert errors.count("\n") == 1


def test_options_that_do_not_fit(url):
    code, _, errors = run("--url", url, "--model", "texts", "a", "b", "--pair", "c")
    assert code == 2
    assert "expected one --pair for each of the 2 texts. Received: 1" in errors
    code, _, errors = run("--url", url, "--model", "texts", "--signature", "join", "a")
    assert code == 1
    assert errors == "error: the model takes 2 inputs (text, text_pair). Received: 1\n"


def test_both_apis_print_the_same(ask):
    assert ask("one", "due") == (
        0,
        [
            {"text": "one", "prediction": {"length": 3, "upper": "ONE"}},
            {"text": "due", "prediction": {"length": 3, "upper": "DUE"}},
        ],
        "",
    )
    assert ask("--signature", "join", "--version", "1", "a", "--pair", "ß") == (
        0,
        [{"text": "a", "text_pair": "ß", "prediction": "a|ß"}],
        "",
    )
    # 2/3 as a float32 is 0.6666667; the name of an output that ends in _bytes asks for Base64.
    assert ask("--signature", "numbers", "ab", "long") == (
        0,
        [
            {
                "text": "ab",
                "prediction": {"long": False, "raw_bytes": {"b64": "YWI="}, "thirds": [0.6666667, -0.6666667]},
            },
            {
                "text": "long",
                "prediction": {"long": True, "raw_bytes": {"b64": "bG9uZw=="}, "thirds": [1.3333334, -1.3333334]},
            },
        ],
        "",
    )


def test_both_apis_classify_and_regress(ask):
    classes = [{"text": "ab", "prediction": [["short", 0.75], ["long", 0.25]]}]
    assert ask("--method", "classify", "ab") == (0, classes, "")
    numbers = [
        {"text": "abc", "text_pair": "d", "prediction": 2.0},
        {"text": "", "text_pair": "ef", "prediction": -2.0},
    ]
    assert ask("--method", "regress", "abc", "", "--pair", "d", "--pair", "ef") == (0, numbers, "")


def test_both_apis_want_a_row_for_each_text(ask):
    code, lines, errors = ask("--signature", "total", "a", "b")
    assert (code, lines) == (1, [])
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1


def test_both_apis_name_the_signatures(ask):
    code, lines, errors = ask("--signature", "none", "a")
    assert (code, lines) == (1, [])
    assert errors == (
        "error: the model has no signature none; it has: answer, classify, join, numbers, regress, "
        "serving_default, total\n"
    )


def test_an_error_of_grpc_has_its_code(server, client, capsys):
    assert client.main(["--grpc", server.grpc_address, "--model", "none", "a"]) == 1
    assert capsys.readouterr().err == (
        f"error: the call to {server.grpc_address} failed with NOT_FOUND: Servable not found for request: "
        "Latest(none)\n"
    )


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
    code, _, errors = run("--model", "m", "a", "--label", "canary", "--version", "3")
    assert code == 2
    assert "not allowed with argument" in errors


def test_a_server_that_gives_no_answer_in_time(client, capsys):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        assert client.main(["--url", f"http://{address}", *ASKED, "--timeout", "0.2"]) == 1
        assert "timed out" in capsys.readouterr().err
        assert client.main(["--grpc", address, *ASKED, "--timeout", "0.2"]) == 1
        assert "failed with DEADLINE_EXCEEDED" in capsys.readouterr().err


def test_rest_at_the_port_of_grpc(server, client, capsys):
    assert client.main(["--url", f"http://{server.grpc_address}", *ASKED, "--retries", "0", "--timeout", "5"]) == 1
    errors = capsys.readouterr().err
    assert errors.startswith(f"error: no answer from http://{server.grpc_address}/v1/models/m:predict (")
    assert errors.count("\n") == 1


def test_grpc_without_its_package():
    arguments = ["--grpc", "localhost:8500", "--model", "m", "a"]
    # -S hides the installed packages.
    ended = subprocess.run(
        [sys.executable, "-I", "-S", CLIENT, *arguments], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr == (
        "error: expected the package tensorflow-serving-api for --grpc. Received: No module named 'grpc'; "
        "run pip install tensorflow-serving-api\n"
    )
