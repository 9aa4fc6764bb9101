"""Bad requests that once had the wrong answer, or needed too much of the server."""

import http.client
import json
import socket
import time

import httpx
import pytest

from kbert.serving.options import ServeOptions
from kbert.serving.request_error import RequestError
from kbert.serving.rest import json_document
from kbert.serving.rest.json_document import parse_object
from kbert.serving.server import running_server


@pytest.fixture(scope="module")
def url(version, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for number in (1, 2):
        version(number, folder / "m" / str(number))
    with running_server(folder, options=ServeOptions(rest_port=0, grpc=False, timeout_seconds=1)) as server:
        yield server.url


def posted(url, body, path="/v1/models/m:predict", **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = httpx.post(url + path, content=content, headers=headers, timeout=30)
    return answer.status_code, answer.json().get("error")


def test_names_that_are_no_unicode_text_are_unknown(url):
    status, error = posted(url, {"instances": [{"\udfff": 1}]})
    assert status == 400
    assert error.startswith("Failed to process element: 0 key: \udfff")
    body = {"signature_name": "classify", "examples": [{"\udfff": 1}]}
    status, error = posted(url, body, "/v1/models/m:classify")
    assert (status, error) == (400, 'expected Unicode text. Received: half of a surrogate pair in "\udfff"')


def test_integers_of_examples_have_64_bits(url):
    for value, error in ((2**63, "uint64_t element"), (-(2**63) - 1, "an element below the range of int64_t")):
        body = {"signature_name": "classify", "examples": [{"a": value}]}
        expected = f"Feature: a has {error}. Only int64_t is supported."
        assert posted(url, body, "/v1/models/m:classify") == (400, expected)


def test_rows_are_counted_before_they_are_converted(url):
    error = "input text: expected at most 10000 texts in a request. Received: 10001"
    assert posted(url, {"instances": [None] * 10_001}) == (400, error)


def test_the_depth_of_json_is_limited(monkeypatch):
    monkeypatch.setattr(json_document, "_MOST_LEVELS", 5000)
    parse_object(b'{"a": ' + b"[" * 4999 + b"]" * 4999 + b"}")
    with pytest.raises(RequestError, match=r"^JSON Parse error: expected at most 5000 levels\. Received: more$"):
        parse_object(b'{"a": ' + b"[" * 1_000_000)


def test_methods_that_a_path_does_not_have_are_told_in_json(url):
    answer = httpx.request("TRACE", url + "/v1/models/m")
    assert (answer.status_code, answer.json()) == (405, {"error": "Method Not Allowed. Received: TRACE /v1/models/m"})
    assert "POST" in answer.headers["allow"]


def test_the_metrics_hold_few_of_the_names_that_clients_make_up(url):
    with httpx.Client(base_url=url, timeout=30) as client:
        for number in range(120):
            assert client.get(f"/v1/models/made-up-{number}").status_code == 404
        assert client.get(f"/v1/models/{'a' * 1000}").status_code == 404
        metrics = client.get("/monitoring/prometheus/metrics").text
    assert metrics.count('model_name="made-up-') == 100
    assert ':tensorflow:serving:request_count{model_name="",status="NOT_FOUND"} 21\n' in metrics


def test_all_versions_of_a_model_have_one_queue_length(version, tmp_path):
    for number in (1, 2):
        version(number, tmp_path / "m" / str(number))
    config = tmp_path / "models.config"
    config.write_text(
        f'model_config_list {{ config {{ name: "m" base_path: "{tmp_path / "m"}" model_platform: "tensorflow" '
        "model_version_policy { all { } } } }"
    )
    options = ServeOptions(rest_port=0, grpc=False, model_config_file=config)
    with running_server(options=options) as server:
        assert posted(server.url, {"instances": ["a"]}, "/v1/models/m/versions/1:predict")[0] == 200
        lines = httpx.get(server.url + "/monitoring/prometheus/metrics").text.splitlines()
    assert [line for line in lines if line.startswith(":kbert:serving:queue_length")] == [
        ':kbert:serving:queue_length{model_name="m"} 0'
    ]


# === Connections ===


def address(url):
    host, port = url.removeprefix("http://").split(":")
    return host, int(port)


def received(connection):
    """All bytes until the server closes the connection."""
    parts = []
    while part := connection.recv(2**16):
        parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize("content", [b"\x16\x03\x01\n\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"])
def test_what_is_not_http_is_told_in_json(url, content):
    with socket.create_connection(address(url), timeout=30) as connection:
        connection.sendall(content)
        head, _, body = received(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert json.loads(body) == {
        "error": "expected a request of HTTP/1.1, whose path has escapes for letters beyond ASCII, such as %C3%A9. "
        "Received: one that is not valid"
    }


def send_slowly(connection, part):
    for _ in range(100_000):
        connection.sendall(part)
        time.sleep(0.0001)


@pytest.mark.parametrize("part", [b"a" * 1000, b"a: b\r\n" * 100])
def test_headers_have_a_limited_size(url, part):
    with socket.create_connection(address(url), timeout=30) as connection:
        connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: a\r\nA: ")
        with pytest.raises(ConnectionError):
            send_slowly(connection, part)


def test_a_client_that_never_completes_its_headers_is_disconnected(url):
    request = b"GET /health/live HTTP/1.1\r\nHost: a\r\n"
    with (
        socket.create_connection(address(url), timeout=30) as silent,
        socket.create_connection(address(url), timeout=30) as slow,
        socket.create_connection(address(url), timeout=30) as second,
    ):
        second.sendall(request + b"\r\n")
        assert second.recv(2**16).startswith(b"HTTP/1.1 200 OK")
        begin = time.monotonic()
        slow.sendall(request)
        second.sendall(request)
        assert (received(silent), received(slow), received(second)) == (b"", b"", b"")
    assert time.monotonic() - begin < 10


def test_a_client_that_sends_its_body_slowly_is_told(url):
    with socket.create_connection(address(url), timeout=30) as connection:
        connection.sendall(b"POST /v1/models/m:predict HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n{")
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        error = {"error": "expected a body within 1 seconds. Received: a part of it"}
        assert (answer.status, json.loads(answer.read())) == (408, error)


def test_requests_in_one_packet_are_answered_in_their_order(url):
    bodies = [b'{"instances":["%s"]}' % (b"x" * length) for length in (1, 22, 333)]
    requests = b"".join(
        b"POST /v1/models/m:predict HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        for body in bodies
    )
    with socket.create_connection(address(url), timeout=30) as connection:
        connection.sendall(requests)
        lengths = []
        stream = connection.makefile("rb")
        for _ in bodies:
            size = 0
            while (line := stream.readline()) != b"\r\n":
                assert line
                if line.lower().startswith(b"content-length: "):
                    size = int(line.split()[1])
            lengths.append(json.loads(stream.read(size))["predictions"][0]["length"])
        stream.close()
    assert lengths == [1, 22, 333]
