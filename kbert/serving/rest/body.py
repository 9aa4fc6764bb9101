"""Reads the bodies of requests, within limits."""

from __future__ import annotations

import asyncio
import zlib

from starlette.requests import Request

from kbert.serving.limits import Limits
from kbert.serving.request_error import RequestError, invalid

_CODES = {408: "DEADLINE_EXCEEDED", 413: "RESOURCE_EXHAUSTED", 415: "INVALID_ARGUMENT"}


class BodyError(RequestError):
    """A body that the server does not read.

    Args:
        status: The status of HTTP.
        message: One line: what was expected, and what was received.
    """

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(_CODES[status], message)


async def read_body(request: Request, limits: Limits) -> bytes:
    """Reads the body of a request, and decompresses it if its Content-Encoding is gzip.

    Raises:
        BodyError: The body is too large, or does not arrive in time.
        RequestError: The body is not compressed as its header says.
        ClientDisconnect: The client is gone.
    """
    try:
        body = await asyncio.wait_for(_received(request, limits.body_bytes), limits.seconds or None)
    except asyncio.TimeoutError:
        raise BodyError(408, f"expected a body within {limits.seconds:g} seconds. Received: a part of it") from None
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding == "gzip":
        # A small body may stand for a large one, and the event loop serves the other requests meanwhile.
        return await asyncio.to_thread(_decompressed, body, limits.body_bytes)
    if encoding not in ("", "identity"):
        raise BodyError(415, f"expected the Content-Encoding gzip or identity. Received: {encoding:.40}")
    return body


async def _received(request: Request, limit: int) -> bytes:
    """Receives a body.

    A body that is too large is read to its end and discarded, because a client that is still sending would see a broken
    connection instead of the answer.
    """
    body = bytearray()
    total = 0
    async for chunk in request.stream():
        total += len(chunk)
        if limit and total > limit:
            body.clear()
        else:
            body += chunk
    if limit and total > limit:
        raise BodyError(413, f"expected a body of at most {limit} bytes. Received: {total} bytes")
    return bytes(body)


def _decompressed(body: bytes, limit: int) -> bytes:
    if not body:
        return b""
    # 16 selects the format of gzip.
    decompressor = zlib.decompressobj(zlib.MAX_WBITS + 16)
    try:
        # A bomb is not unpacked further than one byte beyond the limit.
        result = decompressor.decompress(body, limit + 1 if limit else 0)
    except zlib.error as problem:
        raise invalid(
            f"JSON Parse error: The document is empty, since the body is not compressed by gzip ({problem})"
        ) from None
    if limit and len(result) > limit:
        raise BodyError(413, f"expected a body of at most {limit} bytes after decompression. Received: more")
    if not decompressor.eof:
        raise invalid("expected a body that is compressed by gzip. Received: a part of it")
    return result
