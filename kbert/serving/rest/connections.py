"""Connections of HTTP: the headers of a request have a limited size, and must arrive in time."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

_BASE: Any = AutoHTTPProtocol
_MOST_HEADER_BYTES = 2**16


def connection_class(seconds: float) -> type[asyncio.Protocol]:
    """Returns the class of uvicorn's connections, with limits that uvicorn lacks.

    Args:
        seconds: The seconds until a connection that sends no complete headers is closed; 0 for no limit.
    """

    class Connection(_Connection):
        header_seconds = seconds

    return Connection


class _Connection(_BASE):  # which of uvicorn's classes it is depends on what is installed
    header_seconds = 0.0

    def connection_made(self, transport: Any) -> None:
        self._timer: asyncio.TimerHandle | None = None
        # httptools, unlike h11, collects headers of any size.
        self._is_in_headers = False
        self._header_bytes = 0
        self._requests: list[Any] = []
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._drop_requests()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._is_busy():
            self._start_timer()
        if self._header_bytes > _MOST_HEADER_BYTES:
            self.send_400_response(f"expected headers of at most {_MOST_HEADER_BYTES} bytes. Received: more")
            return
        super().data_received(data)
        self._header_bytes = self._header_bytes + len(data) if self._is_in_headers else 0
        if self._is_busy():
            self._stop_timer()

    def on_message_begin(self) -> None:
        """Is called by httptools."""
        self._is_in_headers = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Is called by httptools."""
        self._is_in_headers = False
        super().on_headers_complete()
        self._requests = [each for each in self._requests if not each.response_complete]
        if self.cycle is not None:
            self._requests.append(self.cycle)

    def send_400_response(self, msg: str) -> None:
        """Answers what is not HTTP, in the form of all other errors."""
        if self.transport.is_closing():
            return
        self._drop_requests()
        content = json.dumps({"error": msg.replace("Invalid HTTP request received.", _INVALID)}).encode("ascii")
        head = (
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"
            f"content-length: {len(content)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + content)
        self.transport.close()

    def _drop_requests(self) -> None:
        """Tells requests that nobody reads their answers. uvicorn tells it the last one only, if several are open."""
        for each in self._requests:
            if not each.response_complete:
                each.disconnected = True
                each.message_event.set()

    def _is_busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _start_timer(self) -> None:
        if self._timer is None and self.header_seconds:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self.header_seconds, self.transport.close)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


# curl does not escape the names of models.
_INVALID = (
    "expected a request of HTTP/1.1, whose path has escapes for letters beyond ASCII, such as %C3%A9. Received: one "
    "that is not valid"
)
