import json

import pytest
from conformance import (
    grpc_examples,
    grpc_models,
    grpc_predict,
    rest_documents,
    rest_examples,
    rest_inputs,
    rest_instances,
    rest_models,
    rest_options,
    rest_paths,
    rest_signatures,
    rest_values,
)
from conformance.differences import DIFFERENCES
from conformance.table import Grpc, Received, Rest, grpc_mismatch, rest_mismatch
from tensorflow_serving.apis import get_model_status_pb2

REST_ROWS = (
    *rest_documents.ROWS,
    *rest_instances.ROWS,
    *rest_inputs.ROWS,
    *rest_values.ROWS,
    *rest_paths.ROWS,
    *rest_examples.ROWS,
    *rest_signatures.ROWS,
    *rest_models.ROWS,
    *rest_models.LABEL_ROWS,
    *rest_options.TIMEOUT_ROWS,
    *rest_options.BATCHING_ROWS,
)
GRPC_ROWS = (
    *grpc_predict.ROWS,
    *grpc_predict.LABEL_ROWS,
    *grpc_examples.ROWS,
    *grpc_models.ROWS,
    *grpc_models.RELOAD_ROWS,
    grpc_models.LABEL_RELOAD_ROW,
)


def received(body, status=200, content_type="application/json"):
    return Received(status, {"content-type": content_type}, body.encode())


def test_rows_have_names_of_their_own():
    names = [row.name for row in (*REST_ROWS, *GRPC_ROWS)]
    assert len(names) == len(set(names))


def test_differences_are_differences_of_rows():
    assert set(DIFFERENCES) <= {row.name for row in (*REST_ROWS, *GRPC_ROWS)}


def test_rows_of_rest_say_what_they_expect():
    for row in REST_ROWS:
        assert row.answer is not None or row.error or row.status in (404, 400), row.name
        assert not (row.answer and row.error), row.name
        assert bool(row.error) <= (row.status >= 400), row.name


@pytest.mark.parametrize(
    ("answer", "part"),
    [
        (received('{"a": [1.0]}', 400), "the status 200"),
        (received('{"a": [1]}'), "expected '"),
        (received('{"a": [1.00]}'), "expected '"),
        (received('{"a": [1.0], "b": 2}'), "expected '"),
        (received('{"a": [1.0'), "expected '"),
        (received('{"a": [1.0]}', content_type="text/plain"), "the type application/json"),
    ],
)
def test_another_answer_is_a_mismatch(answer, part):
    row = Rest("row", "echo", answer='{"a": [1.0]}')
    assert rest_mismatch(row, received('{"a":[1.0]}')) == ""
    assert part in rest_mismatch(row, answer)


@pytest.mark.parametrize("error", ["another text", ["the text"], None])
def test_another_error_is_a_mismatch(error):
    row = Rest("row", "echo", status=400, error="the text")
    assert rest_mismatch(row, received('{"error": "has the text in it"}', 400)) == ""
    assert "'the text' in it" in rest_mismatch(row, received(json.dumps({"error": error}), 400))


def test_numbers_that_are_none_are_compared():
    row = Rest("row", "echo", answer="[NaN, Infinity]")
    assert rest_mismatch(row, received("[NaN, Infinity]")) == ""
    assert rest_mismatch(row, received("[NaN, -Infinity]")) != ""


def test_another_response_of_grpc_is_a_mismatch():
    row = Grpc("row", "GetModelStatus", "", "model_version_status { version: 3 }")
    response = get_model_status_pb2.GetModelStatusResponse()
    response.model_version_status.add(version=3)
    assert grpc_mismatch(row, "OK", "", response) == ""
    response.model_version_status[0].version = 2
    assert "expected model_version_status" in grpc_mismatch(row, "OK", "", response)
    assert "the code OK" in grpc_mismatch(row, "NOT_FOUND", "no model", None)
    refused = Grpc("row", "GetModelStatus", "", code="NOT_FOUND", error="no model")
    assert grpc_mismatch(refused, "NOT_FOUND", "no model m", None) == ""
    assert "'no model' in it" in grpc_mismatch(refused, "NOT_FOUND", "none", None)
