"""Serves the models of a folder over TensorFlow Serving's REST API.

The API is that of https://www.tensorflow.org/tfx/serving/api_rest, so clients of TensorFlow Serving work unchanged.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import re
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from kbert.errors import ServingError
from kbert.files import PathLike
from kbert.options import with_options
from kbert.runtime.interrupts import handled_signals
from kbert.serving.conversion import TensorInfo, parse_request, request_arrays, response
from kbert.serving.models import ServedModels
from kbert.serving.options import ServeOptions
from kbert.serving.request_error import RequestError

_LOGGER = logging.getLogger("kbert.serving")
_MAX_BODY_BYTES = 64 * 2**20
_PATH = re.compile(
    r"/v1/models/(?P<name>[^/:]+)(/versions/(?P<version>[0-9]{1,18})|/labels/(?P<label>[^/:]+))?"
    r"(?P<verb>:predict|:classify|:regress|/metadata)?"
)
# The names on the left are gRPC's canonical codes; a code that is not here is the server's own fault.
_HTTP_STATUS = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
}


@with_options(ServeOptions)
def serve(
    folder: PathLike,
    *,
    options: ServeOptions,
    on_ready: Callable[[int], None] | None = None,
) -> None:
    """Serves the models of a folder until the process receives SIGINT or SIGTERM, and finishes the open requests.

    New models and versions in the folder are served without a restart. The logger "kbert.serving" reports them.

    Args:
        folder: The folder that holds NAME/VERSION/saved_model.pb, or a folder NAME that holds versions.
        options: All of these options in one object.
        on_ready: A function that is called with the port once the models are loaded and the server listens.

    Raises:
        ServingError: The folder holds no model that can be loaded, or the port is not available.

    Example:
        >>> kbert.export_saved_model("RUN", output="saved_models/docstrings", version=1)
        PosixPath('saved_models/docstrings/1')
        >>> import os, signal
        >>> def stop(port):  # leave on_ready out to serve until Ctrl-C
        ...     os.kill(os.getpid(), signal.SIGINT)
        >>> kbert.serve("saved_models", rest_port=0, on_ready=stop)
    """
    with _server(folder, options.host, options.rest_port, options.poll_seconds) as (server, listener, port):
        server.on_started = lambda: on_ready(port) if on_ready else None
        with _signals_stop(server):
            server.run(sockets=[listener])


@contextlib.contextmanager
def running_server(
    folder: PathLike, *, host: str = "127.0.0.1", rest_port: int = 0, poll_seconds: float = 1.0
) -> Iterator[str]:
    """Serves the models of a folder from a thread of this process during a `with` block; the target is the URL.

    Args:
        folder: See `serve`.
        host: See `serve`.
        rest_port: See `serve`. The default selects a free port.
        poll_seconds: See `serve`.

    Raises:
        ServingError: See `serve`.

    Example:
        >>> import json, urllib.request
        >>> from kbert.serving.rest import running_server
        >>> kbert.export_saved_model("RUN", output="served/docstrings", version=1)
        PosixPath('served/docstrings/1')
        >>> with running_server("served") as url:
        ...     body = json.dumps({"instances": ["the cat"]}).encode()
        ...     with urllib.request.urlopen(f"{url}/v1/models/docstrings:predict", body) as reply:
        ...         answer = json.load(reply)
        >>> answer["predictions"][0]["label"] in ("bad", "fine", "good")
        True
    """
    with _server(folder, host, rest_port, poll_seconds) as (server, listener, port):
        started = threading.Event()
        server.on_started = started.set
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="kbert-serving-rest")
        thread.start()
        try:
            while not started.wait(0.1):
                if not thread.is_alive():
                    raise ServingError("the server's thread ended before it listened; its error is on stderr")
            yield f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        finally:
            server.should_exit = True
            thread.join()


def create_app(models: ServedModels, *, max_body_bytes: int = _MAX_BODY_BYTES) -> Starlette:
    """Returns the ASGI application that implements the REST API.

    Args:
        models: The models that answer the requests.
        max_body_bytes: The maximum size of a request body in bytes. Larger requests get the status 413.
    """

    async def answer(request: Request) -> Response:
        path = request.scope["path"]
        try:
            match = _PATH.fullmatch(path)
            if match is None or (request.method == "POST") != (match["verb"] or "").startswith(":"):
                raise RequestError("INVALID_ARGUMENT", f"Malformed request: {request.method} {path}")
            body = await _read(request, max_body_bytes)
            # A thread parses the request and runs the model, so that the event loop can serve other requests.
            return _json(await run_in_threadpool(_answer, models, match, body))
        except RequestError as problem:
            return _error(_HTTP_STATUS.get(problem.code, 500), str(problem))
        except _BodyTooLong as problem:
            return _error(413, str(problem))
        except ClientDisconnect:
            return Response(status_code=400)  # the client is gone and will not read it
        except Exception as problem:
            _LOGGER.exception("%s %s failed", request.method, path)
            return _error(500, f"internal error: {type(problem).__name__}; the server's log says more")

    async def refuse(request: Request, problem: Any) -> Response:
        return _error(problem.status_code, f"{problem.detail}: {request.method} {request.scope['path']}")

    route = Route("/v1/{path:path}", answer, methods=["GET", "POST"])
    return Starlette(routes=[route], exception_handlers={HTTPException: refuse})


class _BodyTooLong(Exception):
    """The body of a request is larger than the server accepts."""


def _answer(models: ServedModels, match: re.Match[str], body: bytes) -> dict[str, Any]:
    name, verb = match["name"], match["verb"]
    version = None if match["version"] is None else int(match["version"])
    if match["label"] is not None:
        raise RequestError(
            "NOT_FOUND",
            f"expected /versions/N, because this server has no version labels. Received: /labels/{match['label']}",
        )
    if verb is None:
        return _status(models, name, version)
    if verb == "/metadata":
        return _metadata(models, name, version)
    if verb != ":predict":
        raise RequestError(
            "UNIMPLEMENTED", f"expected :predict, the only verb that this server implements. Received: {verb}"
        )
    model = models.get(name, version)
    request = parse_request(body)
    inputs = request_arrays(request, model.signature(request.signature_name))
    return response(request, model.run(request.signature_name, inputs))


def _status(models: ServedModels, name: str, version: int | None) -> dict[str, Any]:
    return {
        "model_version_status": [
            {
                "version": str(status.version),
                "state": status.state,
                "status": {"error_code": status.error_code, "error_message": status.error_message},
            }
            for status in models.status(name, version)
        ]
    }


def _metadata(models: ServedModels, name: str, version: int | None) -> dict[str, Any]:
    model = models.get(name, version)
    signatures = {
        signature_name: {
            "inputs": {key: _tensor_metadata(info) for key, info in signature.inputs.items()},
            "outputs": {key: _tensor_metadata(info) for key, info in signature.outputs.items()},
            "method_name": "tensorflow/serving/predict",
        }
        for signature_name, signature in model.signatures.items()
    }
    return {
        "model_spec": {"name": name, "signature_name": "", "version": str(model.version)},
        "metadata": {"signature_def": {"signature_def": signatures}},
    }


def _tensor_metadata(info: TensorInfo) -> dict[str, Any]:
    # Protocol buffers write 64-bit integers as JSON strings; -1 is a dimension of any size.
    dimensions = [{"size": str(-1 if size is None else size), "name": ""} for size in info.shape or ()]
    # TensorFlow has other names for these types in Python than in protocol buffers (DT_HALF, DT_FLOAT).
    dtype = {"float16": "half", "float32": "float", "float64": "double"}.get(info.dtype, info.dtype)
    return {
        "dtype": f"DT_{dtype.upper()}",
        "tensor_shape": {"dim": dimensions, "unknown_rank": info.shape is None},
    }


async def _read(request: Request, max_bytes: int) -> bytes:
    """Reads the request's body.

    A body that is too long is read to its end and discarded, because a client that is still sending would see a broken
    connection instead of the answer.
    """
    body = bytearray()
    total = 0
    async for chunk in request.stream():
        total += len(chunk)
        if total <= max_bytes:
            body += chunk
        else:
            body.clear()
    if total > max_bytes:
        raise _BodyTooLong(f"expected a body of at most {max_bytes} bytes. Received: {total} bytes")
    return bytes(body)


def _json(content: dict[str, Any], status: int = 200) -> Response:
    # NaN and Infinity are written as these words, in both directions, as TensorFlow Serving does.
    text = json.dumps(content, ensure_ascii=False)
    return Response(text.encode("utf-8"), status, media_type="application/json")


def _error(status: int, message: str) -> Response:
    return _json({"error": message}, status)


class _Server(uvicorn.Server):
    """A uvicorn server that calls a function when it has started."""

    def __init__(self, app: Starlette) -> None:
        # log_config=None leaves the logging of the process as it is.
        super().__init__(uvicorn.Config(app, lifespan="off", ws="none", log_config=None, access_log=False))
        self.on_started: Callable[[], object] = lambda: None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.on_started()


@contextlib.contextmanager
def _server(
    folder: PathLike, host: str, port: int, poll_seconds: float
) -> Iterator[tuple[_Server, socket.socket, int]]:
    """Yields a server whose models are loaded, the socket that it listens on, and the port of the socket."""
    # The port is bound first, so that a port in use is reported before the models are loaded.
    with _bind(host, port) as listener, ServedModels(folder, poll_seconds=poll_seconds) as models:
        yield _Server(create_app(models)), listener, listener.getsockname()[1]


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends without delay (TCP_NODELAY) on sockets that name their protocol alone; on others every
    # answer takes 40 ms longer. socket.create_server makes sockets that do not.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        # Requests that come while the models load wait in the queue of the socket.
        listener.listen(2048)
        return listener
    except (OSError, OverflowError) as problem:
        listener.close()
        reason = "a port in use" if getattr(problem, "errno", None) == errno.EADDRINUSE else str(problem)
        raise ServingError(
            f"expected a free port. Received: port {port} of {host}, {reason}; name another one with --rest-port, or 0 "
            "for any free one"
        ) from None


@contextlib.contextmanager
def _signals_stop(server: _Server) -> Iterator[None]:
    """Lets SIGINT and SIGTERM end `server.run`, but not the process.

    uvicorn catches these signals itself and raises them again after it has shut down; then they reach this handler.
    """

    def stop(_: int) -> None:
        server.should_exit = True

    with handled_signals(stop):
        yield
