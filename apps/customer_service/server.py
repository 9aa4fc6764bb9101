"""Runs the application as a web server."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from starlette.applications import Starlette

import kbert

_SECONDS = 30.0
"""How long a server may take to start, or to stop."""


class AddressError(kbert.KbertError):
    """The server cannot listen at its address."""


class _Server(uvicorn.Server):
    """A server that tells its address as soon as it answers."""

    def __init__(self, app: Starlette, on_ready: Callable[[str], None]) -> None:
        # The paths in an access log would have ids of conversations.
        quiet: dict[str, Any] = {"access_log": False, "log_config": None, "server_header": False}
        super().__init__(uvicorn.Config(app, timeout_graceful_shutdown=10, **quiet))
        self._on_ready = on_ready

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            self._on_ready(f"http://{f'[{host}]' if ':' in host else host}:{port}")


def run(app: Starlette, *, host: str, port: int, on_ready: Callable[[str], None]) -> None:
    """Serves until the process receives SIGINT or SIGTERM.

    Args:
        app: The application.
        host: The address to listen at.
        port: The port; 0 takes a free one.
        on_ready: Called with the address as soon as the server answers.

    Raises:
        AddressError: Another program listens there, or the machine has no such address.
    """
    _Server(app, on_ready).run(sockets=[_listener(host, port)])


@contextlib.contextmanager
def running(app: Starlette) -> Iterator[str]:
    """Serves in a thread at a free port, and gives the address."""
    ready, addresses = threading.Event(), list[str]()

    def take(address: str) -> None:
        addresses.append(address)
        ready.set()

    server = _Server(app, take)
    sockets = [_listener("127.0.0.1", 0)]
    thread = threading.Thread(target=server.run, kwargs={"sockets": sockets}, daemon=True)
    thread.start()
    if not ready.wait(_SECONDS):
        raise RuntimeError(f"expected a server within {_SECONDS:.0f} seconds. Received: none")
    try:
        yield addresses[0]
    finally:
        server.should_exit = True
        thread.join(_SECONDS)


def _listener(host: str, port: int) -> socket.socket:
    """Returns a socket that is bound to the address."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except OSError as problem:
        raise AddressError(
            f"expected an address to listen at. Received: {host}, port {port} ({problem.strerror or problem}); "
            "name another with --host or --port"
        ) from None
    return listener
