"""What all calls of the gRPC API share: their model, their record and their status."""

from __future__ import annotations

import concurrent.futures
import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import grpc

from kbert.serving.model_server import ModelServer, Record, Target
from kbert.serving.request_error import RequestError, invalid

_LOGGER = logging.getLogger("kbert.serving")
# TensorFlow Serving cuts messages, since gRPC sends them in a header.
_LONGEST_MESSAGE = 1024


@contextlib.contextmanager
def answered(server: ModelServer, context: Any, method: str) -> Iterator[Record]:
    """Records a call, and ends it with the status of the exception that the block raises."""
    code, message = "", ""
    try:
        with server.recorded("GRPC", method) as record:
            yield record
    except RequestError as problem:
        code, message = problem.code, str(problem)
    except concurrent.futures.CancelledError:
        code, message = "CANCELLED", "the client cancelled the call"
    except Exception as problem:
        _LOGGER.exception("%s failed", method)
        code, message = "INTERNAL", f"internal error: {type(problem).__name__}; the server's log says more"
    if code:
        if len(message) > _LONGEST_MESSAGE:
            message = message[:_LONGEST_MESSAGE] + "...TRUNCATED"
        context.abort(getattr(grpc.StatusCode, code), message)


def model_of(request: Any, record: Record) -> Target:
    """Returns the model that a request asks for, and records its name.

    Raises:
        RequestError: The request names no model.
    """
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    spec = request.model_spec
    record.model = spec.name
    if not spec.name:
        raise invalid("ModelSpec has no name specified.")
    choice = spec.WhichOneof("version_choice")
    return Target(
        spec.name,
        spec.version.value if choice == "version" else None,
        spec.version_label if choice == "version_label" else None,
    )
