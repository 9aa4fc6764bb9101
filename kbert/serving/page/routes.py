"""The routes of the page and of the OpenAPI document."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from importlib import resources
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from kbert.serving.page.openapi import openapi

Endpoint = Callable[[Request], Awaitable[Response]]
_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "json": "application/json",
}
_HEADERS = {
    # The page runs the scripts of this server alone, talks to this server alone, and builds no HTML from strings.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
        "trusted-types 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    # Browsers keep the files, and ask each time whether they have changed.
    "cache-control": "no-cache",
}


def page_routes(
    list_models: Callable[[], Mapping[str, Any]], *, guard: Callable[[Endpoint], Endpoint] = lambda endpoint: endpoint
) -> list[BaseRoute]:
    """Returns the routes of the page: `/`, its files below `/page/`, and `/openapi.json`.

    The page itself asks the server for `/kbert/models` and for `/v1/models/...:predict`, which are no part of these
    routes.

    Args:
        list_models: Returns the content of `/kbert/models`. It is called in a thread for each request of
            `/openapi.json`.
        guard: Returns an endpoint that refuses requests without the server's API key. It is applied to `/openapi.json`,
            which names the models; the page itself is the same for all servers and needs no key.

    Example:
        >>> from starlette.applications import Starlette
        >>> from kbert.serving.page.routes import page_routes
        >>> app = Starlette(routes=page_routes(lambda: {"models": []}))
        >>> [route.path for route in app.routes][:2]
        ['/', '/openapi.json']
    """
    files = {
        file.name: (file.read_bytes(), _TYPES[file.name.rpartition(".")[2]])
        for file in resources.files("kbert.serving.page").joinpath("static-files").iterdir()
    }
    index = files.pop("index.html")

    async def document(request: Request) -> Response:
        content = json.dumps(openapi(await run_in_threadpool(list_models)), ensure_ascii=False, indent=1)
        return _answer(request, content.encode("utf-8"), _TYPES["json"])

    return [
        Route("/", _sends(*index)),
        Route("/openapi.json", guard(document)),
        *(Route(f"/page/{name}", _sends(*file)) for name, file in sorted(files.items())),
    ]


def _sends(content: bytes, media_type: str) -> Endpoint:
    async def send(request: Request) -> Response:
        return _answer(request, content, media_type)

    return send


def _answer(request: Request, content: bytes, media_type: str) -> Response:
    """Returns the content, or the status 304 if the client has it already."""
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {**_HEADERS, "etag": tag}
    if _has(request, tag):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=media_type)


def _has(request: Request, tag: str) -> bool:
    known = [value.strip().removeprefix("W/") for value in request.headers.get("if-none-match", "").split(",")]
    return tag in known or known == ["*"]
