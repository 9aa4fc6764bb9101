"""gRPC's service for health checks (https://github.com/grpc/grpc/blob/master/doc/health-checking.md)."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from grpc_health.v1 import health, health_pb2

# TensorFlow Serving's names of its services for health checks, and the name of the whole server.
_NAMES = (
    "",
    "PredictionService",
    "ModelService",
    "tensorflow.serving.PredictionService",
    "tensorflow.serving.ModelService",
)
_UPDATE_SECONDS = 0.5


class HealthServicer(health.HealthServicer):
    """Answers SERVING for the server and its services while all wanted versions answer requests.

    Args:
        is_ready: Returns whether all wanted versions answer requests.
    """

    def __init__(self, is_ready: Callable[[], bool]) -> None:
        super().__init__()
        self._is_ready = is_ready
        self._state: int | None = None
        self._updating = threading.Lock()
        self._watchers: set[Callable[[Any], None]] = set()
        self._update()

    def Check(self, request: Any, context: Any) -> Any:
        """Answers with the state of a service."""
        self._update()
        return super().Check(request, context)

    def Watch(self, request: Any, context: Any, send_response_callback: Any = None) -> Any:
        """Answers with the state of a service, and again with each change of it."""
        if send_response_callback is not None:
            self._watchers.add(send_response_callback)
            context.add_callback(lambda: self._watchers.discard(send_response_callback))
        return super().Watch(request, context, send_response_callback)

    @contextlib.contextmanager
    def updated(self) -> Iterator[None]:
        """Sends changes to the clients that watch a service during a `with` block, and ends their calls after it."""
        stopped = threading.Event()

        def update() -> None:
            while not stopped.wait(_UPDATE_SECONDS):
                self._update()

        thread = threading.Thread(target=update, name="kbert-serving-health", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()
            # The server waits for all calls before it ends, and a client never ends this one.
            for send in list(self._watchers):
                send(None)

    def _update(self) -> None:
        kinds = health_pb2.HealthCheckResponse
        with self._updating:
            state = kinds.SERVING if self._is_ready() else kinds.NOT_SERVING
            if state != self._state:
                self._state = state
                for name in _NAMES:
                    self.set(name, state)
