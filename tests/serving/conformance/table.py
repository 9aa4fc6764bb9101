"""The rows of the conformance table: what is sent, and what TensorFlow Serving answers.

A row is derived from the file of TensorFlow Serving that its `source` names. Numbers are compared as they are written,
so that 3 and 3.0 differ, and objects without regard to the order of their keys.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import text_format
from google.protobuf.message import Message


@dataclass(frozen=True)
class Rest:
    """A request of the REST API and its answer.

    Args:
        name: A statement that the row checks. It is unique among all rows.
        target: The path as it is sent. Without a slash in front it is below /v1/models/.
        body: The body of the request.
        status: The expected HTTP status.
        answer: The expected JSON document; "" is an empty body, and None stands for any answer.
        error: A text that the expected error message contains.
        source: The file of TensorFlow Serving that states the answer.
        method: The HTTP method.
        headers: The headers of the request.
    """

    name: str
    target: str
    body: str | bytes = ""
    status: int = 200
    answer: str | None = None
    error: str = ""
    source: str = "json_tensor.cc"
    method: str = "POST"
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return self.target if self.target.startswith("/") else f"/v1/models/{self.target}"


@dataclass(frozen=True)
class Received:
    """The answer to a request of the REST API."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Grpc:
    """A call of the gRPC API and its answer.

    Args:
        name: A statement that the row checks. It is unique among all rows.
        method: The name of the method, such as Predict.
        request: The request in protocol buffers' text format.
        answer: The expected response in text format; None stands for any response.
        code: The name of the expected gRPC code.
        error: A text that the expected error message contains.
        source: The file of TensorFlow Serving that states the answer.
    """

    name: str
    method: str
    request: str
    answer: str | None = None
    code: str = "OK"
    error: str = ""
    source: str = "predict_util.cc"


def rest_mismatch(row: Rest, received: Received) -> str:
    """Says how an answer differs from the row's, or returns "" if it does not."""
    # Surrogates stand for bytes that are not UTF-8, which TensorFlow Serving writes as they are.
    text = received.body.decode("utf-8", "surrogateescape")
    found = f"{received.status} {text[:600]!r}"
    if received.status != row.status:
        return f"expected the status {row.status}. Received: {found}"
    if row.answer == "" and text:
        return f"expected an empty body. Received: {found}"
    if row.answer and (not _is_json(text) or _as_written(text) != _as_written(row.answer)):
        return f"expected {row.answer[:600]!r}. Received: {found}"
    if row.error:
        document = json.loads(text) if _is_json(text) else None
        message = document.get("error") if isinstance(document, dict) else None
        if not isinstance(message, str) or row.error not in message:
            return f'expected {{"error": ...}} with {row.error!r} in it. Received: {found}'
        if list(document) != ["error"]:
            return f"expected no other keys beside 'error'. Received: {found}"
    if (row.answer or row.error) and received.headers.get("content-type") != "application/json":
        return f"expected the type application/json. Received: {received.headers.get('content-type')}"
    return ""


def grpc_mismatch(row: Grpc, code: str, message: str, response: Message | None) -> str:
    """Says how the outcome of a call differs from the row's, or returns "" if it does not."""
    found = f"{code} {message[:600]!r} {_shown(response) if response else ''}"
    if code != row.code:
        return f"expected the code {row.code}. Received: {found}"
    if row.error not in message:
        return f"expected a message with {row.error!r} in it. Received: {found}"
    if row.answer is not None and response is not None:
        expected = text_format.Parse(row.answer, type(response)())
        if response != expected:
            return f"expected {_shown(expected)}. Received: {found}"
    return ""


def _shown(message: Message) -> str:
    return text_format.MessageToString(message, as_one_line=True)[:600]


def _is_json(text: str) -> bool:
    try:
        _as_written(text)
    except ValueError:
        return False
    return True


def _as_written(text: str) -> Any:
    """Parses JSON and leaves its numbers as they are written, which also makes NaN equal to NaN."""

    def number(token: str) -> tuple[str]:
        return (token,)

    return json.loads(text, parse_int=number, parse_float=number, parse_constant=number)
