import asyncio
import json
import math
import os
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time

import httpx
import pytest
import tensorflow as tf

from kbert.errors import ServingError
from kbert.serving.models import ServedModels
from kbert.serving.rest import create_app, running_server, serve


class Texts(tf.Module):
    """Signatures over strings, one output and several."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def serving_default(self, text):
        return {"length": tf.strings.length(text), "upper": tf.strings.upper(text)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def echo(self, text):
        return {"text": text}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def echo_bytes(self, text):
        return {"text_bytes": text}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, name="text"),
            tf.TensorSpec([None], tf.string, name="text_pair"),
        ]
    )
    def pair(self, text, text_pair):
        return {"joined": text + "|" + text_pair}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def short_only(self, text):
        checks = [tf.debugging.assert_less(tf.strings.length(text), 4, message="expected texts below 4 bytes")]
        with tf.control_dependencies(checks):
            return {"text": tf.identity(text)}


class Numbers(tf.Module):
    """Signatures over numbers of several types."""

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")])
    def serving_default(self, x):
        return {"y": x / 10.0}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int8, name="x")])
    def small(self, x):
        return {"y": x}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.bool, name="x")])
    def flip(self, x):
        return {"y": tf.logical_not(x)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.bfloat16, name="x")])
    def brain(self, x):
        return {"y": x}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.complex64, name="x")])
    def imaginary(self, x):
        return {"y": x}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float64, name="x")])
    def total(self, x):
        return {"sum": tf.reduce_sum(x), "x": x}

    @tf.function(input_signature=[tf.TensorSpec([], tf.int32, name="rounds")])
    def slow(self, rounds):
        return {"rounds": tf.while_loop(lambda i: i < rounds, lambda i: [i + 1], [0])[0]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    base = tmp_path_factory.mktemp("saved_models")
    texts, numbers = Texts(), Numbers()
    tf.saved_model.save(
        texts,
        str(base / "texts" / "3"),
        signatures={
            name: getattr(texts, name) for name in ("serving_default", "echo", "echo_bytes", "pair", "short_only")
        },
    )
    tf.saved_model.save(
        numbers,
        str(base / "numbers" / "1"),
        signatures={
            name: getattr(numbers, name)
            for name in ("serving_default", "small", "flip", "brain", "imaginary", "total", "slow")
        },
    )
    return base


@pytest.fixture(scope="module")
def client(folder):
    with running_server(folder) as url, httpx.Client(base_url=url, timeout=30) as client:
        yield client


def predict(client, model, body):
    """The status and the answer; json.loads reads NaN and Infinity, which httpx leaves to it."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = client.post(f"/v1/models/{model}:predict", content=content)
    return answer.status_code, json.loads(answer.content)


def test_rows_with_several_outputs_are_objects(client):
    body = {"instances": ["abc", "é"]}
    answer = {"predictions": [{"length": 3, "upper": "ABC"}, {"length": 2, "upper": "é"}]}
    assert predict(client, "texts", body) == (200, answer)
    assert predict(client, "texts/versions/3", body) == (200, answer)


def test_rows_with_a_single_output_are_bare(client):
    body = {"signature_name": "echo", "instances": [{"text": "a"}, {"text": "漢字"}]}
    assert predict(client, "texts", body) == (200, {"predictions": ["a", "漢字"]})


def test_rows_of_two_inputs_are_objects(client):
    body = {"signature_name": "pair", "instances": [{"text": "a", "text_pair": "b"}]}
    assert predict(client, "texts", body) == (200, {"predictions": ["a|b"]})


def test_columns(client):
    several = {"outputs": {"length": [3], "upper": ["ABC"]}}
    assert predict(client, "texts", {"inputs": ["abc"]}) == (200, several)
    assert predict(client, "texts", {"inputs": {"text": ["abc"]}}) == (200, several)
    body = {"signature_name": "pair", "inputs": {"text": ["a", "c"], "text_pair": ["b", "d"]}}
    assert predict(client, "texts", body) == (200, {"outputs": ["a|b", "c|d"]})
    assert predict(client, "texts", {"signature_name": "echo", "inputs": []}) == (200, {"outputs": []})


def test_bytes_travel_as_base64(client):
    for instance in ({"b64": "/wA="}, {"text": {"b64": "/wA="}}):
        body = {"signature_name": "echo", "instances": [instance]}
        assert predict(client, "texts", body) == (200, {"predictions": [{"b64": "/wA="}]})
    body = {"signature_name": "echo", "instances": [{"b64": "YWJj"}]}
    assert predict(client, "texts", body) == (200, {"predictions": ["abc"]})
    body = {"signature_name": "echo_bytes", "instances": ["abc"]}
    assert predict(client, "texts", body) == (200, {"predictions": [{"b64": "YWJj"}]})


def test_numbers_keep_their_type_and_their_shortest_decimals(client):
    body = {"instances": [[1, 2.5], [3e38, -7]]}
    answer = client.post("/v1/models/numbers:predict", json=body)
    assert answer.text == '{"predictions": [[0.1, 0.25], [3e+37, -0.7]]}'
    assert answer.headers["content-type"] == "application/json"
    body = {"signature_name": "small", "instances": [-128, 127]}
    assert predict(client, "numbers", body) == (200, {"predictions": [-128, 127]})
    body = {"signature_name": "flip", "instances": [True, False]}
    assert predict(client, "numbers", body) == (200, {"predictions": [False, True]})
    body = {"signature_name": "brain", "instances": [0.5, 2]}
    assert predict(client, "numbers", body) == (200, {"predictions": [0.5, 2.0]})
    body = {"signature_name": "total", "inputs": [1, 2]}
    assert predict(client, "numbers", body) == (200, {"outputs": {"sum": 3.0, "x": [1.0, 2.0]}})


def test_nan_and_infinity_pass_both_ways(client):
    status, answer = predict(client, "numbers", b'{"instances": [[NaN, Infinity], [-Infinity, 1]]}')
    assert status == 200
    (nan, infinity), rest = answer["predictions"]
    assert math.isnan(nan)
    assert (infinity, rest) == (math.inf, [-math.inf, 0.1])


@pytest.mark.parametrize(
    ("model", "body", "error"),
    [
        ("texts", b"{", "expected a JSON object as the request's body. Received: invalid JSON (Expecting"),
        ("texts", b"[" * 100_000, "expected a JSON object as the request's body. Received: invalid JSON"),
        ("texts", b"\xff", "expected a JSON object as the request's body. Received: invalid JSON"),
        ("texts", ["a"], "expected a JSON object as the request's body. Received: list"),
        ("texts", {}, "expected one of the keys instances (rows) and inputs (columns). Received: neither"),
        ("texts", {"instances": ["a"], "inputs": ["a"]}, "expected one of the keys instances (rows) and"),
        (
            "texts",
            {"instances": ["a"], "signature": "x"},
            'expected the keys signature_name, and instances or inputs. Received: "signature"',
        ),
        (
            "texts",
            {"instances": ["a"], "signature_name": 1},
            "expected a string as signature_name. Received: i",
        ),
        (
            "texts",
            {"instances": ["a"], "signature_name": "\ud800"},
            "expected signature_name to be one of: echo, echo_bytes, pair, serving_default, short_only. "
            'Received: "\\ud800"',
        ),
        (
            "texts",
            {"instances": []},
            "expected a list of at least one instance as instances. Received: an empty",
        ),
        (
            "texts",
            {"instances": "a"},
            "expected a list of at least one instance as instances. Received: string",
        ),
        (
            "texts",
            {"instances": ["a", {"text": "b"}]},
            "expected instances that are all objects or all values.",
        ),
        ("texts", {"instances": [{"txt": "a"}]}, 'expected the inputs text. Received: none called "text"'),
        ("texts", {"instances": [{"text": "a", "x": 1}]}, 'expected the inputs text. Received: "x"'),
        ("texts", {"inputs": {"text": ["a"], "x": [1]}}, 'expected the inputs text. Received: "x"'),
        (
            "texts",
            {"instances": ["a"], "signature_name": "pair"},
            "expected each instance to be an object with the keys: text, text_pair. Received: values alone",
        ),
        (
            "texts",
            {"inputs": ["a"], "signature_name": "pair"},
            "expected inputs to be an object with the keys: text, text_pair. Received: values alone",
        ),
        (
            "texts",
            {"instances": [1]},
            'input "text": expected strings or {"b64": "..."}. Received: integer 1',
        ),
        (
            "texts",
            {"instances": [None]},
            'input "text": expected strings or {"b64": "..."}. Received: null null',
        ),
        ("texts", {"instances": [{"b64": "?"}]}, 'input "text": expected base64 as b64. Received: "?"'),
        ("texts", {"instances": [{"b64": 7}]}, 'input "text": expected base64 as b64. Received: 7'),
        (
            "texts",
            {"instances": ["\ud800"]},
            'input "text": expected Unicode text. Received: half of a surrogate',
        ),
        (
            "texts",
            {"instances": [["a"]]},
            'input "text": expected values of the shape [any]. Received: the shape [1, 1]',
        ),
        (
            "texts",
            {"inputs": "a"},
            'input "text": expected values of the shape [any]. Received: the shape []',
        ),
        (
            "numbers",
            {"instances": [[1, 2], [3]]},
            'input "x": expected lists of one length at each depth. Received: ragged lists of 1 and 2 values',
        ),
        ("numbers", {"instances": [[1, 2], 3]}, 'input "x": expected lists of one depth.'),
        (
            "numbers",
            {"instances": [[1, 2, 3]]},
            'input "x": expected values of the shape [any, 2]. Received: the shape [1, 3]',
        ),
        (
            "numbers",
            {"instances": [[1, "2"]]},
            'input "x": expected values of the type float32. Received: string',
        ),
        (
            "numbers",
            {"instances": [[1, True]]},
            'input "x": expected values of the type float32. Received: boolean',
        ),
        (
            "numbers",
            {"instances": [[1, 1e39]]},
            'input "x": expected values of the type float32. Received: 1e+39',
        ),
        (
            "numbers",
            {"instances": [[1, 10**400]]},
            'input "x": expected values of the type float32. Received: an i',
        ),
        (
            "numbers",
            {"instances": [128], "signature_name": "small"},
            'input "x": expected values of the type int8, -128 to 127. Received: 128',
        ),
        (
            "numbers",
            {"instances": [1.0], "signature_name": "small"},
            'input "x": expected values of the type int8. Received: number 1.0',
        ),
        (
            "numbers",
            {"instances": [1], "signature_name": "flip"},
            'input "x": expected values of the type bool. Received: integer 1',
        ),
        (
            "numbers",
            {"instances": [1, 2], "signature_name": "total"},
            "expected outputs with one row for each instance. Received: the shapes sum [], x [2]; ask with inputs "
            "instead of instances",
        ),
        (
            "texts",
            {"instances": ["abcd"], "signature_name": "short_only"},
            "assertion failed: [expected texts",
        ),
    ],
)
def test_a_bad_request_is_told_in_one_line(client, model, body, error):
    status, answer = predict(client, model, body)
    assert status == 400
    assert list(answer) == ["error"]
    assert answer["error"].startswith(error)
    assert "\n" not in answer["error"]


def test_what_is_not_there(client):
    def asked(method, path):
        answer = client.request(method, path, json={"instances": ["a"]})
        return answer.status_code, answer.json()["error"]

    assert asked("POST", "/v1/models/none:predict") == (404, "Servable not found for request: Latest(none)")
    assert asked("POST", "/v1/models/texts/versions/2:predict") == (
        404,
        "Servable not found for request: Specific(texts, 2)",
    )
    assert asked("GET", "/v1/models/none") == (404, "Could not find any versions of model none")
    assert asked("GET", "/v1/models/texts/versions/2") == (404, "Could not find version 2 of model texts")
    assert asked("GET", "/v1/models/none/metadata") == (404, "Servable not found for request: Latest(none)")
    assert asked("POST", "/v1/models/texts/labels/best:predict") == (
        404,
        "expected /versions/N, because this server has no version labels. Received: /labels/best",
    )
    for verb in (":classify", ":regress"):
        assert asked("POST", f"/v1/models/texts{verb}") == (
            501,
            f"expected :predict, the only verb that this server implements. Received: {verb}",
        )
    assert asked("GET", "/v1/models/texts:predict") == (
        400,
        "Malformed request: GET /v1/models/texts:predict",
    )
    assert asked("POST", "/v1/models/texts") == (400, "Malformed request: POST /v1/models/texts")
    assert asked("GET", "/v1/models") == (400, "Malformed request: GET /v1/models")
    assert asked("DELETE", "/v1/models/texts") == (405, "Method Not Allowed: DELETE /v1/models/texts")
    assert asked("GET", "/") == (404, "Not Found: GET /")


def test_a_type_without_a_form_in_json_is_not_implemented(client):
    body = {"signature_name": "imaginary", "instances": [1]}
    error = 'input "x": expected a dtype that JSON can express. Received: complex64'
    assert predict(client, "numbers", body) == (501, {"error": error})


def test_status(client):
    available = {
        "model_version_status": [
            {"version": "3", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        ]
    }
    assert client.get("/v1/models/texts").json() == available
    assert client.get("/v1/models/texts/versions/3").json() == available


def test_metadata(client):
    answer = client.get("/v1/models/texts/metadata").json()
    assert answer["model_spec"] == {"name": "texts", "signature_name": "", "version": "3"}
    signatures = answer["metadata"]["signature_def"]["signature_def"]
    assert sorted(signatures) == ["echo", "echo_bytes", "pair", "serving_default", "short_only"]
    shape = {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}
    assert signatures["serving_default"] == {
        "inputs": {"text": {"dtype": "DT_STRING", "tensor_shape": shape}},
        "outputs": {
            "length": {"dtype": "DT_INT32", "tensor_shape": shape},
            "upper": {"dtype": "DT_STRING", "tensor_shape": shape},
        },
        "method_name": "tensorflow/serving/predict",
    }
    answer = client.get("/v1/models/numbers/versions/1/metadata").json()
    signature = answer["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"]["x"]["dtype"] == "DT_FLOAT"
    assert signature["inputs"]["x"]["tensor_shape"]["dim"][1] == {"size": "2", "name": ""}


def test_a_body_that_is_too_long_is_refused(folder):
    async def ask(body):
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.post("/v1/models/texts:predict", content=body)

    with ServedModels(folder, poll_seconds=3600) as models:
        transport = httpx.ASGITransport(create_app(models, max_body_bytes=24))
        fits = asyncio.run(ask(b'{"instances": ["abcde"]}'))
        too_long = asyncio.run(ask(b'{"instances": ["abcdef"]}'))
    assert fits.json() == {"predictions": [{"length": 5, "upper": "ABCDE"}]}
    assert too_long.status_code == 413
    assert too_long.json() == {"error": "expected a body of at most 24 bytes. Received: 25 bytes"}


def test_a_client_that_sends_too_much_still_reads_the_answer(client):
    answer = client.post("/v1/models/texts:predict", content=b" " * (64 * 2**20 + 1))
    assert answer.status_code == 413


def test_a_long_answer_does_not_hold_up_the_others(client):
    answers = []

    def ask_slow():
        answers.append(predict(client, "numbers", {"signature_name": "slow", "inputs": 200_000}))

    thread = threading.Thread(target=ask_slow)
    thread.start()
    time.sleep(0.05)
    assert predict(client, "texts", {"signature_name": "echo", "instances": ["a"]})[0] == 200
    assert answers == []
    thread.join()
    assert answers == [(200, {"outputs": 200_000})]


def test_answers_are_sent_without_delay(client):
    # A socket without TCP_NODELAY adds 40 ms to every answer after the first.
    seconds = []
    for _ in range(9):
        start = time.perf_counter()
        predict(client, "texts", {"instances": ["a"]})
        seconds.append(time.perf_counter() - start)
    assert statistics.median(seconds) < 0.03


def test_a_port_in_use_is_named(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            ServingError, match=f"^expected a free port. Received: port {port} of 127.0.0.1, a port in use; name"
        ):
            serve(folder, rest_port=port)


def test_a_folder_without_models_is_refused(tmp_path):
    with pytest.raises(ServingError, match=r"^expected a folder that holds NAME/VERSION/saved_model\.pb"):
        serve(tmp_path, rest_port=0)


def test_sigterm_lets_the_request_in_flight_finish_and_ends_well(folder):
    program = (
        "import sys; import kbert\n"
        "kbert.prepare_runtime(quiet=True)\n"
        "kbert.serve(sys.argv[1], rest_port=0, on_ready=lambda port: print(port, flush=True)); print('ended')"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    with process:
        url = f"http://127.0.0.1:{process.stdout.readline().strip()}"
        answers = []

        def ask():
            body = {"signature_name": "slow", "inputs": 400_000}
            answers.append(httpx.post(f"{url}/v1/models/numbers:predict", json=body, timeout=60).json())

        thread = threading.Thread(target=ask)
        thread.start()
        time.sleep(0.5)
        assert answers == []
        process.send_signal(signal.SIGTERM)
        thread.join()
        output, errors = process.communicate(timeout=30)
    assert answers == [{"outputs": 400_000}]
    assert (process.returncode, output, errors) == (0, "ended\n", "")
