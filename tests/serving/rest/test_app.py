import gzip
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
from kbert.serving.options import ServeOptions
from kbert.serving.server import running_server, serve


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
    with running_server(folder) as server, httpx.Client(base_url=server.url, timeout=30) as client:
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
        ("texts", b"", "JSON Parse error: The document is empty"),
        ("texts", b"{", "JSON Parse error: Missing a name for object member. at offset: 1"),
        ("texts", b"[" * 100_000, "JSON Parse error: The document is empty at offset: 100000"),
        ("texts", b'{"instances": ' + b"[" * 500_000 + b"]" * 500_000 + b"}", "Failed to process element: 0 of 'inst"),
        ("texts", b'{"instances": ["\xff"]}', "JSON Parse error: Invalid UTF-8 at offset: 16"),
        ("texts", ["a"], 'JSON Value: ["a"] Is not object'),
        ("texts", {}, "Missing 'inputs' or 'instances' key"),
        ("texts", {"instances": ["a"], "inputs": ["a"]}, 'JSON Value: {"instances": ["a"], "inputs": ["a"]} Not form'),
        (
            "texts",
            {"instances": ["a"], "signature_name": 1},
            'JSON Value: {"instances": ["a"], "signature_name": 1} not formatted correctly. \'signature_name\' key',
        ),
        (
            "texts",
            {"instances": ["a"], "signature_name": "none"},
            'Serving signature name: "none" not found in signature def, which has: echo, echo_bytes, pair, serving_def',
        ),
        ("texts", {"instances": []}, "JSON Value: [] No values in 'instances' array"),
        ("texts", {"instances": "a"}, "JSON Value: \"a\" Expecting 'instances' to be an list/array"),
        ("texts", {"instances": ["a", {"text": "b"}]}, "Expecting value/list but got object at item 1 of input list"),
        (
            "texts",
            {"instances": [{"txt": "a"}]},
            "Failed to process element: 0 key: txt of 'instances' list. Error: INVALID_ARGUMENT: JSON object: does not "
            "have named input: txt",
        ),
        (
            "texts",
            {"instances": [{"text": "a", "text_pair": "b"}, {"text": "a"}], "signature_name": "pair"},
            'Failed to process element: 1 of \'instances\' list. JSON object: {"text": "a"} keys must be equal to: '
            "text,text_pair",
        ),
        (
            "texts",
            {"instances": ["a"], "signature_name": "pair"},
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per",
        ),
        (
            "texts",
            {"inputs": ["a"], "signature_name": "pair"},
            "inputs is a plain value/list, but expecting an object as multiple input tensors required as per",
        ),
        ("texts", {"inputs": {"text": ["a"]}, "signature_name": "pair"}, "Missing named input: text_pair in 'inputs'"),
        (
            "texts",
            {"instances": ["a", 1]},
            "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: 1 Type: Number is "
            "not of expected type: string",
        ),
        ("texts", {"inputs": [None]}, "JSON Value: null Type: Null is not of expected type: string"),
        ("texts", {"inputs": [{"b64": "?"}]}, 'Unable to base64 decode "?"'),
        ("texts", {"inputs": [{"b64": 7}]}, 'JSON Value: {"b64": 7} not formatted correctly for base64 data'),
        ("texts", {"inputs": ["\ud800"]}, "JSON Parse error: expected Unicode text. Received: half of a surrogate"),
        (
            "numbers",
            {"instances": [[1, 2], [3]]},
            "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: Expecting tensor size: 2 but "
            "got: 1",
        ),
        ("numbers", {"inputs": [[1, 2], [3]]}, "Encountered list at unexpected size: 1 at level: 1 expected size: 2"),
        ("numbers", {"inputs": [[1, 2], 3]}, "JSON Value: 3 found at incorrect level: 2 in the JSON DOM."),
        ("numbers", {"inputs": [[1, "2"]]}, 'JSON Value: "2" Type: String is not of expected type: float'),
        ("numbers", {"inputs": [[1, True]]}, "JSON Value: true Type: True is not of expected type: float"),
        (
            "numbers",
            {"inputs": [128], "signature_name": "small"},
            "JSON Value: 128 Type: Number is not of expected type: int8, -128 to 127",
        ),
        (
            "numbers",
            {"inputs": [1.0], "signature_name": "small"},
            "JSON Value: 1.0 Type: Number is not of expected type: int8",
        ),
        (
            "numbers",
            {"instances": [1, 2], "signature_name": "total"},
            "Tensor name: sum has no shape information; ask with inputs instead of instances",
        ),
        ("texts", {"instances": ["abcd"], "signature_name": "short_only"}, "assertion failed: [expected texts"),
    ],
)
def test_a_bad_request_is_told_in_one_line(client, model, body, error):
    status, answer = predict(client, model, body)
    assert status == 400
    assert list(answer) == ["error"]
    assert answer["error"].startswith(error)
    assert "\n" not in answer["error"]


def test_what_tensorflow_serving_ignores_is_ignored(client):
    answer = (200, {"outputs": ["a"]})
    assert predict(client, "texts", {"signature_name": "echo", "inputs": {"text": ["a"], "x": [1]}, "id": 7}) == answer
    assert predict(client, "texts", b'{"signature_name": "echo", "inputs": ["a"]} and more') == answer
    assert predict(client, "texts", b'{"signature_name": "echo", "inputs": ["a"], "inputs": ["b"]}') == answer
    deep = b'{"x": ' + b"[" * 10_000 + b"]" * 10_000 + b', "signature_name": "echo", "inputs": ["a"]}'
    assert predict(client, "texts", deep) == answer
    assert predict(client, "texts", {"signature_name": "", "inputs": ["a"]})[0] == 200


def test_the_graph_decides_about_shapes(client):
    assert predict(client, "numbers", {"instances": [[1, 2, 3]]}) == (200, {"predictions": [[0.1, 0.2, 0.3]]})
    assert predict(client, "texts", {"signature_name": "echo", "inputs": "a"}) == (200, {"outputs": "a"})


def test_numbers_beyond_the_range_are_infinite(client):
    status, answer = predict(client, "numbers", {"instances": [[1e39, -(10**60)]]})
    assert (status, answer) == (200, {"predictions": [[math.inf, -math.inf]]})


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
    assert asked("POST", "/v1/models/texts/labels/best:predict") == (400, "Unrecognized servable version label: best")
    too_large = "Failed to convert version: 9223372036854775808 to numeric."
    assert asked("GET", f"/v1/models/texts/versions/{2**63}") == (400, too_large)
    for method, path in (
        ("GET", "/v1/models/texts:predict"),
        ("POST", "/v1/models/texts"),
        ("DELETE", "/v1/models/texts"),
        ("POST", "/v1/models/texts:train"),
    ):
        assert asked(method, path) == (400, f"Malformed request: {method} {path}")
    assert asked("GET", "/v1/models") == (400, "Missing model name in request.")
    assert asked("GET", "/none") == (404, "expected a path below /v1/. Received: GET /none")


def test_paths_match_in_any_case_and_before_they_are_decoded(client):
    assert client.get("/V1/Models/texts").status_code == 200
    assert client.post("/v1/models/te%78ts:predict", json={"instances": ["a"]}).status_code == 200
    assert client.get("/v1/models/a%2Fb").json() == {"error": "Could not find any versions of model a/b"}


def test_bodies_may_be_compressed(client):
    body = gzip.compress(b'{"signature_name": "echo", "inputs": ["a"]}')

    def sent(content, encoding="gzip"):
        headers = {"Content-Encoding": encoding}
        answer = client.post("/v1/models/texts:predict", content=content, headers=headers)
        return answer.status_code, answer.json()

    assert sent(body) == (200, {"outputs": ["a"]})
    assert sent(body[:-8])[0] == 400
    assert sent(b"{}")[1]["error"].startswith("JSON Parse error: The document is empty, since the body is not")
    assert sent(gzip.compress(bytes(65 * 2**20)))[0] == 413
    assert sent(body, "br") == (415, {"error": "expected the Content-Encoding gzip or identity. Received: br"})


def test_preflight_requests_of_browsers(client):
    assert client.options("/v1/models/texts:predict", headers={"Origin": "http://example.org"}).status_code == 200
    answer = client.options("/v1/models/texts:predict")
    assert answer.status_code == 400
    assert answer.json() == {"error": "Origin header is missing in CORS preflight"}
    assert "access-control-allow-origin" not in answer.headers


def test_pages_of_other_origins_may_read_answers_if_an_option_allows_it(folder):
    options = ServeOptions(rest_port=0, grpc=False, cors=True)
    with running_server(folder, options=options) as server:
        answer = httpx.get(f"{server.url}/v1/models/texts")
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["access-control-allow-methods"] == "POST, GET"
        assert httpx.get(f"{server.url}/v1/models/none").headers["access-control-allow-headers"] == "Content-Type"


def test_a_request_takes_no_longer_than_it_may(folder):
    options = ServeOptions(rest_port=0, grpc=False, timeout_seconds=0.3)
    with running_server(folder, options=options) as server:
        body = {"signature_name": "slow", "inputs": 50_000_000}
        answer = httpx.post(f"{server.url}/v1/models/numbers:predict", json=body, timeout=30)
        assert (answer.status_code, answer.json()) == (504, {"error": "Timed out waiting for notification"})
        body = {"signature_name": "slow", "inputs": 1}
        assert httpx.post(f"{server.url}/v1/models/numbers:predict", json=body).status_code == 200


def test_an_api_key_is_demanded_but_for_health(folder, tmp_path):
    (tmp_path / "key").write_text("secret\n")
    options = ServeOptions(rest_port=0, grpc=False, api_key_file=tmp_path / "key")
    with running_server(folder, options=options) as server:
        error = {"error": "expected the header Authorization: Bearer KEY with the server's API key"}
        for path in ("/v1/models/texts", "/kbert/models", "/monitoring/prometheus/metrics"):
            answer = httpx.get(server.url + path)
            assert (answer.status_code, answer.json()) == (401, error)
            assert httpx.get(server.url + path, headers={"Authorization": "Bearer wrong"}).status_code == 401
            assert httpx.get(server.url + path, headers={"Authorization": "Bearer secret"}).status_code == 200
            assert httpx.get(server.url + path, headers={"X-Api-Key": "secret"}).status_code == 200
        assert httpx.get(server.url + "/health/ready").status_code == 200
        assert httpx.get(server.url + "/health/live").status_code == 200


def test_a_type_without_a_form_in_json_is_not_implemented(client):
    body = {"signature_name": "imaginary", "inputs": [1]}
    error = "Conversion of JSON Value: 1 to type: complex64"
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
    assert sorted(signatures) == [
        "__saved_model_init_op",
        "echo",
        "echo_bytes",
        "pair",
        "serving_default",
        "short_only",
    ]
    shape = {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}
    assert signatures["echo"] == {
        "inputs": {"text": {"dtype": "DT_STRING", "tensor_shape": shape, "name": "echo_text:0"}},
        "outputs": {"text": {"dtype": "DT_STRING", "tensor_shape": shape, "name": "PartitionedCall:0"}},
        "method_name": "tensorflow/serving/predict",
        "defaults": {},
    }
    answer = client.get("/v1/models/numbers/versions/1/metadata").json()
    signature = answer["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"]["x"]["dtype"] == "DT_FLOAT"
    assert signature["inputs"]["x"]["tensor_shape"]["dim"][1] == {"size": "2", "name": ""}


def test_a_body_that_is_too_long_is_refused(folder):
    options = ServeOptions(rest_port=0, grpc=False, max_body_bytes=24)
    with running_server(folder, options=options) as server:
        url = f"{server.url}/v1/models/texts:predict"
        fits = httpx.post(url, content=b'{"instances": ["abcde"]}')
        too_long = httpx.post(url, content=b'{"instances": ["abcdef"]}')
    assert fits.json() == {"predictions": [{"length": 5, "upper": "ABCDE"}]}
    assert too_long.status_code == 413
    assert too_long.json() == {"error": "expected a body of at most 24 bytes. Received: 25 bytes"}


def test_texts_and_their_number_are_limited(folder):
    options = ServeOptions(rest_port=0, grpc=False, max_texts=2, max_text_bytes=3)
    with running_server(folder, options=options) as server:

        def asked(texts):
            return httpx.post(f"{server.url}/v1/models/texts:predict", json={"instances": texts}).json()["error"]

        assert asked(["a"] * 3) == "input text: expected at most 2 texts in a request. Received: 3"
        assert asked(["abcd"]) == "input text: expected texts of at most 3 bytes. Received: 4 bytes"


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
            serve(folder, rest_port=port, grpc=False)


def test_a_folder_without_models_is_refused(tmp_path):
    with pytest.raises(ServingError, match=r"^expected a folder that holds NAME/VERSION/saved_model\.pb"):
        serve(tmp_path, rest_port=0, grpc=False)


def test_sigterm_lets_the_request_in_flight_finish_and_ends_well(folder):
    program = (
        "import sys; import kbert\n"
        "kbert.prepare_runtime(quiet=True)\n"
        "kbert.serve(sys.argv[1], rest_port=0, grpc=False, on_ready=lambda at: print(at.url, flush=True))\n"
        "print('ended')"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    with process:
        url = process.stdout.readline().strip()
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
