"""The application that answers HTTP: TensorFlow Serving's REST API, health, metrics and the page."""

from __future__ import annotations

import hmac
import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from kbert.serving.model_server import ModelServer, Record, Target
from kbert.serving.page.routes import page_routes
from kbert.serving.request_error import RequestError
from kbert.serving.rest import answers
from kbert.serving.rest.body import BodyError, read_body
from kbert.serving.rest.paths import parse_path
from kbert.serving.served_models.description import describe_models

_LOGGER = logging.getLogger("kbert.serving")
# The names on the left are gRPC's canonical codes; a code that is not here is the server's own fault.
_HTTP_STATUS = {
    "OK": 200,
    "CANCELLED": 499,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "UNAUTHENTICATED": 401,
}
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, GET",
    "Access-Control-Allow-Headers": "Content-Type",
}
_ORIGIN = re.compile(r"https?://")
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_VERBS: Mapping[str, Callable[[ModelServer, Target, bytes, Record, answers.Gone], Awaitable[str]]] = {
    "predict": answers.predict,
    "classify": answers.classify,
    "regress": answers.regress,
}


def create_app(
    server: ModelServer,
    *,
    metrics_path: str = "",
    cors: bool = False,
    api_key: str = "",
) -> Starlette:
    """Returns the ASGI application.

    Args:
        server: Answers the requests.
        metrics_path: The path of the metrics; empty for no metrics.
        cors: Whether pages of other origins may read the answers of the REST API.
        api_key: The key that requests must carry, but those for health; empty for no key.
    """
    api = _Api(server, cors=cors, api_key=api_key)
    routes: list[BaseRoute] = [
        Route("/health/live", _live),
        Route("/health/ready", api.ready),
        Route("/health/available", api.available),
        Route("/kbert/models", api.guarded(api.models)),
    ]
    if metrics_path:
        routes.append(Route(metrics_path, api.guarded(api.metrics)))
    routes += page_routes(lambda: describe_models(server.models), guard=api.guarded)
    # The paths of the API match in any case, so its function reads them.
    routes.append(Route("/{path:path}", api.answer, methods=_METHODS))
    return Starlette(routes=routes, exception_handlers={HTTPException: _refused})


class _Api:
    """The functions that answer requests."""

    def __init__(self, server: ModelServer, *, cors: bool, api_key: str) -> None:
        self._server = server
        self._headers = _CORS if cors else {}
        self._api_key = api_key

    async def answer(self, request: Request) -> Response:
        """Answers a request of the REST API."""
        raw_path = request.scope.get("raw_path") or request.scope["path"].encode("utf-8")
        path = raw_path.decode("latin-1")
        if not re.match(r"(?i)/v1/", path):
            return _error(404, f"expected a path below /v1/. Received: {request.method} {path:.200}")
        try:
            response = await self._answer(request, path)
        except BodyError as problem:
            response = _error(problem.status, str(problem))
        except RequestError as problem:
            response = _error(_HTTP_STATUS.get(problem.code, 500), str(problem))
        except Exception as problem:
            _LOGGER.exception("%s %s failed", request.method, path[:200])
            response = _error(500, f"internal error: {type(problem).__name__}; the server's log says more")
        response.headers.update(self._headers)
        return response

    async def ready(self, request: Request) -> Response:
        """Answers 200 if all wanted versions answer requests, and 503 otherwise."""
        if self._server.models.is_ready():
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "not all wanted versions are available"}, 503)

    async def available(self, request: Request) -> Response:
        """Answers 200 if every model has a version that answers requests, perhaps an older one, and 503 otherwise."""
        if self._server.models.is_available():
            return JSONResponse({"status": "available"})
        return JSONResponse({"status": "not every model has a version that answers"}, 503)

    async def models(self, request: Request) -> Response:
        """Lists the models."""
        return JSONResponse(describe_models(self._server.models))

    async def metrics(self, request: Request) -> Response:
        """Returns the metrics in Prometheus's text format."""
        return Response(self._server.metrics.text(), media_type="text/plain")

    def guarded(self, endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """Returns an endpoint that demands the API key."""

        async def checked(request: Request) -> Response:
            try:
                self._check_key(request)
            except RequestError as problem:
                return _error(_HTTP_STATUS[problem.code], str(problem))
            return await endpoint(request)

        return checked

    async def _answer(self, request: Request, path: str) -> Response:
        if request.method == "OPTIONS":
            if _ORIGIN.search(request.headers.get("origin", "")):
                return Response(status_code=200, media_type="application/json")
            raise RequestError("FAILED_PRECONDITION", "Origin header is missing in CORS preflight")
        self._check_key(request)
        call = parse_path(request.method, path)
        if call.verb in _VERBS:
            with self._server.recorded("REST", call.verb) as record:
                record.model = call.target.name
                try:
                    body = await read_body(request, self._server.limits)
                except ClientDisconnect:
                    raise RequestError("CANCELLED", "the client is gone") from None

                async def gone() -> None:
                    # After the body, the next message says that the client is gone.
                    while (await request.receive())["type"] != "http.disconnect":
                        pass

                return _json(await _VERBS[call.verb](self._server, call.target, body, record, gone))
        with self._server.recorded("REST", call.verb) as record:
            record.model = call.target.name
            answer = answers.metadata if call.verb == "metadata" else answers.status
            return _json(answer(self._server, call.target))

    def _check_key(self, request: Request) -> None:
        if not self._api_key:
            return
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        given = token.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key", "")
        if not hmac.compare_digest(given.encode("utf-8"), self._api_key.encode("utf-8")):
            raise RequestError(
                "UNAUTHENTICATED", "expected the header Authorization: Bearer KEY with the server's API key"
            )


async def _refused(request: Request, problem: Exception) -> Response:
    """Answers a request that no route takes, such as one of another method."""
    assert isinstance(problem, HTTPException)
    path = request.scope["path"]
    response = _error(problem.status_code, f"{problem.detail}. Received: {request.method} {path:.200}")
    response.headers.update(problem.headers or {})
    return response


async def _live(request: Request) -> Response:
    return JSONResponse({"status": "live"})


def _json(text: str, status: int = 200) -> Response:
    return Response(text.encode("utf-8", "backslashreplace"), status, media_type="application/json")


def _error(status: int, message: str) -> Response:
    return _json(json.dumps({"error": message}, ensure_ascii=False), status)
