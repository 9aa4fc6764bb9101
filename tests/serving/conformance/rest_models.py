"""Rows about the status and the metadata of models, versions and labels over REST."""

from __future__ import annotations

import json
from typing import Any

from conformance.table import Rest

STATUS, STATUS_TESTS = "get_model_status_impl.cc", "get_model_status_impl_test.cc"
METADATA, CORE, HANDLER_TESTS = "get_model_metadata_impl.cc", "server_core.cc", "http_rest_api_handler_test.cc"
_ONE = '{"instances": [1.0]}'


def _status(*versions: int) -> str:
    ok = {"error_code": "OK", "error_message": ""}
    states = [{"version": str(version), "state": "AVAILABLE", "status": ok} for version in versions]
    return json.dumps({"model_version_status": states})


def _get(name: str, target: str, status: int = 200, answer: str | None = None, *, error: str = "", source: str) -> Rest:
    return Rest(name, target, "", status, answer, error, source, "GET")


def _tensor(name: str, dtype: str, *dimensions: int) -> dict[str, Any]:
    """A TensorInfo; without dimensions its shape is unknown."""
    shape = {"dim": [{"size": str(size), "name": ""} for size in dimensions], "unknown_rank": not dimensions}
    return {"dtype": dtype, "tensor_shape": shape, "name": name}


def _signature(method: str, inputs: dict[str, Any], outputs: dict[str, Any]) -> dict[str, Any]:
    return {"inputs": inputs, "outputs": outputs, "method_name": f"tensorflow/serving/{method}", "defaults": {}}


def _metadata(model: str, version: int, signatures: dict[str, Any]) -> str:
    spec = {"name": model, "signature_name": "", "version": str(version)}
    return json.dumps({"model_spec": spec, "metadata": {"signature_def": {"signature_def": signatures}}})


_PLUS = _signature("predict", {"x": _tensor("x:0", "DT_FLOAT")}, {"y": _tensor("y:0", "DT_FLOAT")})
_VERSIONS_METADATA = {"serving_default": _PLUS}
_X, _X2, _Y, _Y2, _Y3 = (_tensor(f"{name}:0", "DT_FLOAT", -1, 1) for name in ("x", "x2", "y", "y2", "y3"))
_EXAMPLES = {"inputs": _tensor("tf_example:0", "DT_STRING")}
_HALF_PLUS_TWO = {
    "serving_default": _signature("predict", {"x": _X}, {"y": _Y}),
    "regress_x_to_y": _signature("regress", _EXAMPLES, {"outputs": _Y}),
    "regress_x_to_y2": _signature("regress", _EXAMPLES, {"outputs": _Y2}),
    "regress_x2_to_y3": _signature("regress", {"inputs": _X2}, {"outputs": _Y3}),
    "classify_x_to_y": _signature("classify", _EXAMPLES, {"scores": _Y}),
    "classify_x2_to_y3": _signature("classify", {"inputs": _X2}, {"scores": _Y3}),
}

ROWS = (
    # Status.
    _get("the status of a model is that of its version", "half_plus_two", answer=_status(123), source=HANDLER_TESTS),
    _get("the status of a version is its own", "versions/versions/2", answer=_status(2), source=HANDLER_TESTS),
    _get("versions are listed from the largest down", "versions", answer=_status(3, 2, 1), source=STATUS),
    _get(
        "the status of an unknown model is not found",
        "nobody",
        404,
        error="Could not find any versions of model nobody",
        source=STATUS,
    ),
    _get(
        "the status of an unknown version is not found",
        "versions/versions/9",
        404,
        error="Could not find version 9 of model versions",
        source=STATUS,
    ),
    _get(
        "the status of an unknown model's version is not found",
        "nobody/versions/9",
        404,
        error="Could not find version 9 of model nobody",
        source=STATUS,
    ),
    _get(
        "the status of an unknown label is that of all versions",
        "versions/labels/nothing",
        answer=_status(3, 2, 1),
        source=STATUS,
    ),
    _get(
        "a query is part of a model's name",
        "half_plus_two?verbose=1",
        404,
        error="Could not find any versions of model half_plus_two?verbose=1",
        source="evhttp_request.cc",
    ),
    _get(
        "metadata in upper case is the status",
        "half_plus_two/METADATA",
        answer=_status(123),
        source="http_rest_api_handler.cc",
    ),
    _get(
        "the status of a model with escaped signs is known",
        "half%20plus%2Ftwo%3A%C3%A9",
        answer=_status(123),
        source="http_rest_api_util_test.cc",
    ),
    # Metadata.
    _get(
        "the metadata of a model has all signatures",
        "half_plus_two/metadata",
        answer=_metadata("half_plus_two", 123, _HALF_PLUS_TWO),
        source=HANDLER_TESTS,
    ),
    _get(
        "the metadata of a model is that of its newest version",
        "versions/metadata",
        answer=_metadata("versions", 3, _VERSIONS_METADATA),
        source=METADATA,
    ),
    _get(
        "the metadata of a version is its own",
        "versions/versions/2/metadata",
        answer=_metadata("versions", 2, _VERSIONS_METADATA),
        source=METADATA,
    ),
    _get(
        "the metadata of an unknown model is not found",
        "nobody/metadata",
        404,
        error="Servable not found for request: Latest(nobody)",
        source=METADATA,
    ),
    _get(
        "the metadata of an unknown version is not found",
        "versions/versions/9/metadata",
        404,
        error="Servable not found for request: Specific(versions, 9)",
        source=METADATA,
    ),
    _get(
        "metadata with a query is malformed",
        "half_plus_two/metadata?verbose=1",
        400,
        error="Malformed request: ",
        source="evhttp_request.cc",
    ),
    # Versions.
    Rest("the newest version answers", "versions:predict", _ONE, answer='{"predictions": [4.0]}', source="api_rest.md"),
    Rest(
        "an old version answers",
        "versions/versions/1:predict",
        _ONE,
        answer='{"predictions": [2.0]}',
        source="api_rest.md",
    ),
    # Labels that do not exist.
    Rest(
        "an unknown label is refused",
        "versions/labels/nothing:predict",
        _ONE,
        400,
        error="Unrecognized servable version label: nothing",
        source=HANDLER_TESTS,
    ),
    Rest(
        "a label of an unknown model is refused",
        "nobody/labels/nothing:predict",
        _ONE,
        400,
        error="Unrecognized servable version label: nothing",
        source=CORE,
    ),
    Rest(
        "classify refuses an unknown label",
        "examples/labels/nothing:classify",
        '{"examples": [{}]}',
        400,
        error="Unrecognized servable version label: nothing",
        source=CORE,
    ),
    _get(
        "the metadata of an unknown label is refused",
        "versions/labels/nothing/metadata",
        400,
        error="Unrecognized servable version label: nothing",
        source=CORE,
    ),
)

# These rows need the labels "stable" at version 1 and "a/b:c" at version 2.
LABEL_ROWS = (
    Rest(
        "a label answers with its version",
        "versions/labels/stable:predict",
        _ONE,
        answer='{"predictions": [2.0]}',
        source=HANDLER_TESTS,
    ),
    Rest(
        "a label may hold escaped signs",
        "versions/labels/a%2Fb%3Ac:predict",
        _ONE,
        answer='{"predictions": [3.0]}',
        source="http_rest_api_util_test.cc",
    ),
    Rest(
        "a label is case-sensitive",
        "versions/labels/Stable:predict",
        _ONE,
        400,
        error="Unrecognized servable version label: Stable",
        source=CORE,
    ),
    _get(
        "the metadata of a label is that of its version",
        "versions/labels/stable/metadata",
        answer=_metadata("versions", 1, _VERSIONS_METADATA),
        source=METADATA,
    ),
    _get(
        "the status of a label is that of all versions",
        "versions/labels/stable",
        answer=_status(3, 2, 1),
        source=STATUS,
    ),
    Rest(
        "without a label the newest version answers",
        "versions:predict",
        _ONE,
        answer='{"predictions": [4.0]}',
        source=CORE,
    ),
    Rest(
        "a label belongs to its model",
        "half_plus_two/labels/stable:predict",
        _ONE,
        400,
        error="Unrecognized servable version label: stable",
        source=CORE,
    ),
)
