"""The server of HTTP."""

from __future__ import annotations

import asyncio
import math
import os
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.applications import Starlette

from kbert.serving.limits import Limits
from kbert.serving.options import ServeOptions
from kbert.serving.rest.connections import connection_class

_LAST_REQUESTS_SECONDS = 1.0


class RestServer(uvicorn.Server):
    """A server of HTTP that calls a function when it has started, and ends when its requests are answered.

    Args:
        app: The ASGI application.
        options: The options of the server.
    """

    def __init__(self, app: Starlette, options: ServeOptions) -> None:
        grace_seconds = Limits(seconds=options.timeout_seconds).grace_seconds
        tls: dict[str, Any] = {}
        if options.tls_certificate is not None:
            tls = {"ssl_certfile": os.fspath(options.tls_certificate), "ssl_keyfile": os.fspath(options.tls_key or "")}
        if options.tls_client_authority is not None:
            tls |= {"ssl_ca_certs": os.fspath(options.tls_client_authority), "ssl_cert_reqs": ssl.CERT_REQUIRED}
        # log_config=None leaves the logging of the process as it is.
        config = uvicorn.Config(
            app,
            http=connection_class(options.timeout_seconds),
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            # A client that does not read its answer must not keep the process alive.
            timeout_graceful_shutdown=None if grace_seconds is None else math.ceil(grace_seconds),
            **tls,
        )
        super().__init__(config)
        self.on_started: Callable[[], object] = lambda: None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listens, and calls the function."""
        await super().startup(sockets)
        self.on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends after the requests that have come and those that are on their way."""
        for server in self.servers:
            server.close()
        for each in sockets or []:
            each.close()
        # uvicorn closes idle connections at once, and a request that is on its way would be lost. So requests are
        # answered for a moment, and each answer tells the client that the connection ends.
        self.server_state.default_headers = [*self.server_state.default_headers, (b"connection", b"close")]
        end = time.monotonic() + _LAST_REQUESTS_SECONDS
        while self.server_state.connections and time.monotonic() < end and not self.force_exit:
            await asyncio.sleep(0.02)
        await super().shutdown(sockets)
