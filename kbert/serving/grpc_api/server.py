"""The gRPC server."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import hmac
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2_grpc
from tensorflow_serving.apis.model_service_pb2_grpc import add_ModelServiceServicer_to_server
from tensorflow_serving.apis.prediction_service_pb2_grpc import add_PredictionServiceServicer_to_server

from kbert.errors import ServingError
from kbert.files import PathLike
from kbert.serving.grpc_api.health import HealthServicer
from kbert.serving.grpc_api.model_service import ModelService
from kbert.serving.grpc_api.prediction_service import PredictionService
from kbert.serving.model_server import ModelServer

# The threads wait for batches most of the time, so there are more of them than processors.
_THREADS = 16 * (os.cpu_count() or 1)
_NO_LIMIT_SECONDS = 365 * 24 * 3600.0


@dataclasses.dataclass(frozen=True)
class GrpcServer:
    """A gRPC server that has a port."""

    port: int
    start: Callable[[], None]
    """Begins to answer calls."""


@contextlib.contextmanager
def grpc_server(
    server: ModelServer,
    *,
    host: str,
    port: int,
    credentials: grpc.ServerCredentials | None = None,
    api_key: str = "",
) -> Iterator[GrpcServer]:
    """Yields a gRPC server, which ends with the `with` block.

    Args:
        server: Answers the requests.
        host: The address to listen on.
        port: The port to listen on; 0 selects a free port.
        credentials: The certificates for TLS; None for no encryption.
        api_key: The key that calls must carry in their metadata, but those for health; empty for no key.

    Raises:
        ServingError: The port is not available.
    """
    executor = concurrent.futures.ThreadPoolExecutor(_THREADS, thread_name_prefix="kbert-serving-grpc")
    largest = server.limits.body_bytes or -1
    running = grpc.server(
        executor,
        interceptors=[_KeyInterceptor(api_key)] if api_key else [],
        options=[
            ("grpc.max_receive_message_length", largest),
            ("grpc.max_send_message_length", -1),
            # Two servers on one port would each get some of the calls.
            ("grpc.so_reuseport", 0),
        ],
    )
    add_PredictionServiceServicer_to_server(PredictionService(server), running)
    add_ModelServiceServicer_to_server(ModelService(server), running)
    health_servicer = HealthServicer(server.models.is_ready)
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, running)
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        if credentials is None:
            bound = running.add_insecure_port(address)
        else:
            bound = running.add_secure_port(address, credentials)
    except RuntimeError:
        bound = 0
    if bound == 0:
        raise ServingError(
            f"expected a free port for gRPC. Received: {address}, which is not available; name another one with "
            "--grpc-port, or 0 for any free one"
        )
    try:
        with health_servicer.updated():
            try:
                yield GrpcServer(bound, running.start)
            finally:
                # New calls are refused; calls that have begun are answered.
                ended = running.stop(server.limits.grace_seconds or _NO_LIMIT_SECONDS)
        ended.wait()
    finally:
        executor.shutdown()


def tls_credentials(
    certificate: PathLike, key: PathLike, client_authority: PathLike | None = None
) -> grpc.ServerCredentials:
    """Returns the certificates of the server for TLS.

    Args:
        certificate: The file with the server's chain of certificates, PEM.
        key: The file with the server's private key, PEM.
        client_authority: The file with the certificates by which clients must be signed, PEM; None to accept all.

    Raises:
        ServingError: A file cannot be read.
    """
    return grpc.ssl_server_credentials(
        [(_content(key), _content(certificate))],
        root_certificates=None if client_authority is None else _content(client_authority),
        require_client_auth=client_authority is not None,
    )


class _KeyInterceptor(grpc.ServerInterceptor):
    """Refuses calls without the API key, but for health checks."""

    def __init__(self, api_key: str) -> None:
        self._api_key = api_key

    def intercept_service(self, continuation: Any, details: Any) -> Any:
        """Returns the handler of a call, or one that refuses it."""
        metadata = dict(details.invocation_metadata)
        scheme, _, token = str(metadata.get("authorization", "")).partition(" ")
        given = token.strip() if scheme.lower() == "bearer" else str(metadata.get("x-api-key", ""))
        is_health = details.method.startswith("/grpc.health.v1.Health/")
        if is_health or hmac.compare_digest(given.encode("utf-8"), self._api_key.encode("utf-8")):
            return continuation(details)
        return grpc.unary_unary_rpc_method_handler(_refuse)


def _refuse(_: Any, context: Any) -> None:
    context.abort(
        grpc.StatusCode.UNAUTHENTICATED, "expected the metadata authorization: Bearer KEY with the server's API key"
    )


def _content(path: PathLike) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as problem:
        raise ServingError(f"expected a file in PEM format. Received: {path} ({problem})") from None
