"""Clients for the conformance table: they send a row to a running server and check the answer."""

from __future__ import annotations

import urllib.parse
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import grpc
from conformance.differences import DIFFERENCES
from conformance.table import Grpc, Received, Rest, grpc_mismatch, rest_mismatch
from google.protobuf import text_format
from google.protobuf.message import Message

ODD_NAME = "half plus/two:é"
# The labels of the model "versions", once a reload has set them.
LABELS = {"stable": 1, "a/b:c": 2}


def config_entry(name: str, base_path: Path, more: str = "") -> str:
    return f'config {{ name: "{name}" base_path: "{base_path}" model_platform: "tensorflow" {more} }}'


def config_of(models: Path, labels: dict[str, int] | None = None) -> str:
    """A model server's configuration of all models in text format: three versions of one, and one under an odd name."""
    entries = []
    for folder in sorted(models.iterdir()):
        policy = "model_version_policy { all { } }" if folder.name == "versions" else ""
        if folder.name == "versions":
            policy += "".join(
                f' version_labels {{ key: "{key}" value: {value} }}' for key, value in (labels or {}).items()
            )
        entries.append(config_entry(folder.name, folder, policy))
    entries.append(config_entry(ODD_NAME, models / "half_plus_two"))
    return f"model_config_list {{ {' '.join(entries)} }}"


def request(
    server: Any, method: str, path: str, body: str | bytes = b"", headers: dict[str, str] | None = None
) -> Received:
    """Sends a request to the REST API; the path goes out as it is."""
    address = urllib.parse.urlsplit(server.url)
    connection = HTTPConnection(address.hostname, address.port, timeout=60)
    content = body.encode("utf-8") if isinstance(body, str) else body
    try:
        connection.request(method, path, content or None, headers or {})
        answer = connection.getresponse()
        received = {key.lower(): value for key, value in answer.getheaders()}
        return Received(answer.status, received, answer.read())
    finally:
        connection.close()


def call(server: Any, method: str, text: str, timeout: float = 60) -> Message:
    """Calls a method of the gRPC API with a request in text format."""
    from tensorflow_serving.apis import (
        classification_pb2,
        get_model_metadata_pb2,
        get_model_status_pb2,
        inference_pb2,
        model_management_pb2,
        model_service_pb2_grpc,
        predict_pb2,
        prediction_service_pb2_grpc,
        regression_pb2,
    )

    predictions, services = prediction_service_pb2_grpc.PredictionServiceStub, model_service_pb2_grpc.ModelServiceStub
    stub, kind = {
        "Predict": (predictions, predict_pb2.PredictRequest),
        "Classify": (predictions, classification_pb2.ClassificationRequest),
        "Regress": (predictions, regression_pb2.RegressionRequest),
        "MultiInference": (predictions, inference_pb2.MultiInferenceRequest),
        "GetModelMetadata": (predictions, get_model_metadata_pb2.GetModelMetadataRequest),
        "GetModelStatus": (services, get_model_status_pb2.GetModelStatusRequest),
        "HandleReloadConfigRequest": (services, model_management_pb2.ReloadConfigRequest),
    }[method]
    message = text_format.Parse(text, kind())
    with grpc.insecure_channel(server.grpc_address) as channel:
        return getattr(stub(channel), method)(message, timeout=timeout)


def check_rest(server: Any, row: Rest) -> None:
    """Sends a row and checks the answer; a deliberate difference must be the one that is named."""
    received = request(server, row.method, row.path, row.body, row.headers)
    mismatch = rest_mismatch(row, received)
    difference = DIFFERENCES.get(row.name)
    if difference is None:
        assert not mismatch, f"{row.name} [{row.source}]: {mismatch}"
        return
    assert mismatch, f"{row.name}: the answer is TensorFlow Serving's; remove the row's name from differences.py"
    kberts = Rest(row.name, row.target, row.body, int(difference.outcome), difference.answer, difference.error)
    assert not rest_mismatch(kberts, received), f"{row.name}: {rest_mismatch(kberts, received)}"


def check_grpc(server: Any, row: Grpc) -> None:
    """See `check_rest`."""
    code, message, response = "OK", "", None
    try:
        response = call(server, row.method, row.request)
    except grpc.RpcError as problem:
        code, message = problem.code().name, problem.details() or ""
    mismatch = grpc_mismatch(row, code, message, response)
    difference = DIFFERENCES.get(row.name)
    if difference is None:
        assert not mismatch, f"{row.name} [{row.source}]: {mismatch}"
        return
    assert mismatch, f"{row.name}: the answer is TensorFlow Serving's; remove the row's name from differences.py"
    kberts = Grpc(row.name, row.method, row.request, difference.answer, str(difference.outcome), difference.error)
    mismatch = grpc_mismatch(kberts, code, message, response)
    assert not mismatch, f"{row.name}: {mismatch}"
