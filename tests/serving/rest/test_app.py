import concurrent.futures
import gzip
import json
import logging
import socket
import statistics
import threading
import time
import urllib.parse

import httpx

from kbert.serving.options import ServeOptions
from kbert.serving.served_models.served_version import ServedVersion
from kbert.serving.server import running_server


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


def test_names_in_other_letters_need_escapes(client):
    escaped = client.get("/v1/models/%E6%83%85%E6%84%9F")
    assert escaped.json() == {"error": "Could not find any versions of model 情感"}
    address = urllib.parse.urlsplit(str(client.base_url))
    with socket.create_connection((address.hostname, address.port)) as connection:
        # curl sends the bytes of a name as they are.
        connection.sendall("GET /v1/models/情感 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    assert answer.startswith("HTTP/1.1 400 ")
    assert "whose path has escapes for letters beyond ASCII, such as %C3%A9" in answer


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


def test_a_request_whose_client_is_gone_is_cancelled(folder, monkeypatch, caplog):
    futures = []

    def submit(self, signature_name, inputs, outputs):
        futures.append(concurrent.futures.Future())
        return futures[-1]

    def wait_for(is_true):
        end = time.monotonic() + 10
        while not is_true():
            assert time.monotonic() < end
            time.sleep(0.01)

    monkeypatch.setattr(ServedVersion, "submit", submit)
    caplog.set_level(logging.INFO, "kbert.serving.requests")
    options = ServeOptions(rest_port=0, grpc=False, log_requests=True)
    with running_server(folder, options=options) as server:
        address = urllib.parse.urlsplit(server.url)
        with socket.create_connection((address.hostname, address.port)) as client:
            head = "POST /v1/models/texts:predict HTTP/1.1\r\nhost: localhost\r\ncontent-length: 20\r\n\r\n"
            client.sendall(head.encode() + b'{"instances": ["a"]}')
            wait_for(lambda: futures)
            assert not futures[0].cancelled()
        wait_for(futures[0].cancelled)
        wait_for(lambda: caplog.records)
    lines = [json.loads(record.getMessage()) for record in caplog.records if record.name == "kbert.serving.requests"]
    assert [(line["method"], line["code"]) for line in lines] == [("predict", "CANCELLED")]


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


def test_a_long_answer_does_not_hold_up_the_others(predict):
    answers = []

    def ask_slow():
        answers.append(predict("numbers", {"signature_name": "slow", "inputs": 200_000}))

    thread = threading.Thread(target=ask_slow)
    thread.start()
    time.sleep(0.05)
    assert predict("texts", {"signature_name": "echo", "instances": ["a"]})[0] == 200
    assert answers == []
    thread.join()
    assert answers == [(200, {"outputs": 200_000})]


def test_answers_are_sent_without_delay(predict):
    # A socket without TCP_NODELAY adds 40 ms to every answer after the first.
    seconds = []
    for _ in range(9):
        start = time.perf_counter()
        predict("texts", {"instances": ["a"]})
        seconds.append(time.perf_counter() - start)
    assert statistics.median(seconds) < 0.03
