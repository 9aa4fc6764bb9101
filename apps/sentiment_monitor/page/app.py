"""The routes of the page."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from apps.sentiment_monitor.page.chart import HEIGHT, WIDTH
from apps.sentiment_monitor.page.view import RANGES, alert_values, page_values, series_values
from apps.sentiment_monitor.store import Store

_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_QUIET_SECONDS = 300.0
"""After this time without a step of the monitor, the service is unhealthy."""


def make_app(
    database: Path, *, alive_at: Callable[[], float] | None = None, clock: Callable[[], float] = time.time
) -> Starlette:
    """Returns the application of the page.

    Args:
        database: The database. Each request opens it.
        alive_at: Returns the time of the last step of the monitor, for `/health`.
        clock: Returns the present time in seconds since 1970.
    """
    files = {Path(file.name): file.read_bytes() for file in resources.files(__package__).joinpath("files").iterdir()}
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(files.pop(Path("page.html.j2")).decode())

    def shown_days(request: Request) -> int:
        days = request.query_params.get("days", "7")
        return int(days) if days in map(str, RANGES) else 7

    def read(values: Callable[[Store, int, float], dict[str, Any]], days: int) -> dict[str, Any]:
        store = Store(database)
        try:
            return values(store, days, clock())
        finally:
            store.close()

    async def page(request: Request) -> Response:
        values = await run_in_threadpool(read, page_values, shown_days(request))
        html = template.render(values, width=WIDTH, height=HEIGHT)
        return Response(html, media_type="text/html; charset=utf-8", headers=_HEADERS)

    def document(values: Callable[[Store, int, float], dict[str, Any]]) -> Callable[[Request], Awaitable[Response]]:
        async def send(request: Request) -> Response:
            return JSONResponse(await run_in_threadpool(read, values, shown_days(request)), headers=_HEADERS)

        return send

    def file_sender(name: Path, content: bytes) -> Callable[[Request], Awaitable[Response]]:
        async def send(_: Request) -> Response:
            return Response(content, media_type=_TYPES[name.suffix], headers=_HEADERS)

        return send

    async def health(_: Request) -> Response:
        if alive_at is not None and clock() - alive_at() > _QUIET_SECONDS:
            return PlainTextResponse("the monitor does not read its sources\n", status_code=503)
        return PlainTextResponse("ok\n")

    return Starlette(
        routes=[
            Route("/", page),
            Route("/api/series", document(series_values)),
            Route("/api/alerts", document(alert_values)),
            Route("/health", health),
            *(Route(f"/files/{name}", file_sender(name, content)) for name, content in files.items()),
        ]
    )
