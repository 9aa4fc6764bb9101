"""The files of the chat page, with the headers that keep it to this server."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_FOLDER = Path(__file__).with_name("page")
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
SAFE_HEADERS = {
    # Scripts, styles and requests of this server alone; no HTML is built from strings.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
        "trusted-types 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def page_routes() -> list[Route]:
    """Returns the routes of the page: `/`, and its other files below `/page/`.

    Example:
        >>> from apps.customer_service.page_files import page_routes
        >>> "/page/chat.js" in [route.path for route in page_routes()]
        True
    """
    routes = [Route("/", _sends(_FOLDER / "index.html"))]
    for path in sorted(_FOLDER.iterdir()):
        if path.suffix in _TYPES and path.name != "index.html":
            routes.append(Route(f"/page/{path.name}", _sends(path)))
    return routes


def _sends(path: Path) -> Callable[[Request], Awaitable[Response]]:
    content = path.read_bytes()
    headers = {
        **SAFE_HEADERS,
        # Browsers keep the file, and ask each time whether it has changed.
        "cache-control": "no-cache",
        "etag": f'"{hashlib.sha256(content).hexdigest()[:32]}"',
    }

    async def send(request: Request) -> Response:
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type=_TYPES[path.suffix])

    return send
