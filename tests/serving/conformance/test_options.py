"""Servers with options of TensorFlow Serving: CORS, a time limit for REST, batching; and the metrics of all servers."""

from __future__ import annotations

import concurrent.futures
import json
import re

import pytest
from conformance import rest_options
from conformance.client import call, check_rest, config_entry, config_of, request

CORS_HEADERS = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "POST, GET",
    "access-control-allow-headers": "Content-Type",
}
ONE = '{"instances": [1.5]}'


@pytest.fixture(scope="module")
def cors(models, start):
    with start(config_entry_list(models, "echo"), cors=True) as server:
        yield server


def config_entry_list(models, *names):
    return f"model_config_list {{ {' '.join(config_entry(name, models / name) for name in names)} }}"


@pytest.mark.parametrize("row", rest_options.CORS_ROWS, ids=lambda row: row.name)
def test_every_answer_allows_other_pages_if_the_option_says_so(cors, row):
    # http_server.cc adds the headers whatever the status is.
    received = request(cors, row.method, row.path, row.body, row.headers)
    assert received.status == row.status
    assert {key: received.headers.get(key) for key in CORS_HEADERS} == CORS_HEADERS


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_no_answer_allows_other_pages_by_default(server, method):
    received = request(server, method, "/v1/models/echo", headers={"Origin": "https://page.example"})
    assert received.status == 200
    assert not [key for key in received.headers if key.startswith("access-control-")]


def test_a_request_that_takes_too_long_is_a_504(models, start):
    # http_server.cc: DEADLINE_EXCEEDED is 504; the text is the session's.
    with start(config_entry_list(models, "troubles", "echo"), timeout_seconds=0.3) as server:
        for row in rest_options.TIMEOUT_ROWS:
            check_rest(server, row)


@pytest.fixture(scope="module")
def batching(models, start):
    with start(config_of(models), batch_all_models=True) as server:
        yield server


@pytest.mark.parametrize("row", rest_options.BATCHING_ROWS, ids=lambda row: row.name)
def test_batching(batching, row):
    check_rest(batching, row)


def test_requests_in_one_batch_get_their_own_rows(batching):
    def ask(number):
        body = json.dumps({"instances": [number, number + 0.5]})
        return json.loads(request(batching, "POST", "/v1/models/half_plus_two:predict", body).body)["predictions"]

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(64)))
    assert answers == [[number / 2 + 2, number / 2 + 2.25] for number in range(64)]


def test_requests_of_different_shapes_are_batched_apart_or_refused(batching):
    # batching_session.cc refuses tensors of different shapes in one batch (9), and never mixes them.
    def ask(width):
        body = json.dumps({"instances": [[float(width)] * width]})
        received = request(batching, "POST", "/v1/models/half_plus_two:predict", body)
        return received.status, json.loads(received.body)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for width, (status, answer) in zip(range(1, 9), pool.map(ask, range(1, 9)), strict=True):
            if status == 400:
                assert "different shapes and padding is turned off" in answer["error"]
            else:
                assert answer == {"predictions": [[width / 2 + 2] * width]}


def metrics(server):
    received = request(server, "GET", "/monitoring/prometheus/metrics")
    assert received.status == 200
    assert received.headers["content-type"].startswith("text/plain")
    return received.body.decode()


def value(text, name, labels):
    found = re.findall(rf"^{re.escape(name)}\{{{re.escape(labels)}\}} ([0-9.e+]+)$", text, re.MULTILINE)
    return float(found[0]) if found else 0.0


def test_metrics_count_requests_by_model_and_status(server):
    # prometheus_exporter.cc writes the names; util.cc has the metrics and their labels.
    counted = (
        (":tensorflow:serving:request_count", 'model_name="echo",status="OK"', 3),
        (":tensorflow:serving:request_count", 'model_name="echo",status="INVALID_ARGUMENT"', 1),
        (":tensorflow:serving:request_count", 'model_name="metrics",status="NOT_FOUND"', 1),
        (":tensorflow:serving:request_latency_count", 'model_name="echo",API="predict",entrypoint="REST"', 2),
        (":tensorflow:serving:request_latency_count", 'model_name="echo",API="Predict",entrypoint="GRPC"', 1),
        (":tensorflow:serving:runtime_latency_count", 'model_name="echo",API="Predict",runtime="TF1"', 3),
    )
    before = metrics(server)
    for _ in range(2):
        assert request(server, "POST", "/v1/models/echo:predict", ONE).status == 200
    assert request(server, "POST", "/v1/models/echo:predict", "{").status == 400
    assert request(server, "POST", "/v1/models/metrics:predict", ONE).status == 404
    call(server, "Predict", 'model_spec { name: "echo" } inputs { key: "x" value { dtype: DT_FLOAT float_val: 6 } }')
    after = metrics(server)
    increases = [value(after, name, labels) - value(before, name, labels) for name, labels, _ in counted]
    assert increases == [expected for *_, expected in counted]


def test_metrics_are_in_the_form_of_prometheus(server):
    assert request(server, "POST", "/v1/models/echo:predict", ONE).status == 200
    text = metrics(server)
    assert "# TYPE :tensorflow:serving:request_count counter\n" in text
    assert "# TYPE :tensorflow:serving:request_latency histogram\n" in text
    labels = 'model_name="echo",API="predict",entrypoint="REST"'
    name = ":tensorflow:serving:request_latency"
    buckets = re.findall(rf'^{name}_bucket\{{{labels},le="([^"]+)"\}} [0-9]+$', text, re.MULTILINE)
    assert buckets[:3] == ["10", "18", "32.4"]
    assert (len(buckets), buckets[-1]) == (34, "+Inf")
    count = value(text, f"{name}_count", labels)
    assert value(text, f"{name}_bucket", f'{labels},le="+Inf"') == count > 0


def test_metrics_count_the_examples_of_multi_inference(server):
    # multi_inference.cc records them.
    request_text = """
        tasks {
          model_spec { name: "half_plus_two" signature_name: "regress_x_to_y" }
          method_name: "tensorflow/serving/regress"
        }
        input { example_list {
          examples { features { feature { key: "x" value { float_list { value: 6 } } } } }
          examples { features { feature { key: "x" value { float_list { value: 8 } } } } }
        } }
    """
    name, labels = ":tensorflow:serving:request_example_count_total", 'model="half_plus_two"'
    before = value(metrics(server), name, labels)
    call(server, "MultiInference", request_text)
    assert value(metrics(server), name, labels) - before == 2
