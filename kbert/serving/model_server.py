"""What the REST API and the gRPC API share: models, limits and metrics, and the answers to requests."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np

from kbert.serving.limits import Limits
from kbert.serving.monitoring.metrics import Metrics
from kbert.serving.monitoring.request_log import RequestLog
from kbert.serving.request_error import RequestError
from kbert.serving.served_models.served_models import ServedModels
from kbert.serving.served_models.served_version import ServedVersion

Outputs = dict[str, np.ndarray]
_MOST_UNKNOWN_NAMES = 100
_LONGEST_UNKNOWN_NAME = 100


@dataclasses.dataclass(frozen=True)
class Target:
    """The model of a request."""

    name: str
    version: int | None = None
    label: str | None = None


@dataclasses.dataclass
class Record:
    """What is recorded of a request while it is answered."""

    model: str = ""
    examples: int | None = None


class ModelServer:
    """Answers requests in the form of arrays.

    Args:
        models: The served models.
        limits: The limits of requests.
        metrics: The metrics of the server.
        log: The log of requests.
    """

    def __init__(self, models: ServedModels, *, limits: Limits, metrics: Metrics, log: RequestLog) -> None:
        self.models = models
        self.limits = limits
        self.metrics = metrics
        self._log = log
        self._unknown_names: set[str] = set()

    @contextlib.contextmanager
    def use(self, target: Target) -> Iterator[ServedVersion]:
        """Yields the version that a request asks for; it stays in memory during the block.

        Raises:
            RequestError: It is not served.
        """
        with self.models.use(target.name, target.version, target.label) as served:
            yield served

    def submit(
        self,
        served: ServedVersion,
        signature_name: str,
        inputs: Mapping[str, np.ndarray],
        outputs: Sequence[str],
        record: Record,
        api: str = "Predict",
    ) -> Future[Outputs]:
        """Starts the computation of a request.

        Args:
            served: The version of the model.
            signature_name: The signature.
            inputs: The inputs of the signature.
            outputs: The names of the outputs.
            record: Takes the number of rows.
            api: The name of the computation in the metrics.

        Raises:
            RequestError: The request exceeds a limit, or too many requests wait.
        """
        self.limits.check(inputs)
        record.examples = max((len(array) for array in inputs.values() if array.ndim), default=1)
        start = time.monotonic()
        future = served.submit(signature_name, inputs, outputs)

        def done(_: Future[Outputs]) -> None:
            microseconds = (time.monotonic() - start) * 1e6
            self.metrics.runtime_latency.record(microseconds, model_name=served.name, API=api, runtime="TF1")

        future.add_done_callback(done)
        self.metrics.example_counts.record(record.examples, model=served.name)
        self.metrics.example_count_total.add(record.examples, model=served.name)
        return future

    @contextlib.contextmanager
    def recorded(self, api: str, method: str) -> Iterator[Record]:
        """Records a request in the metrics and in the log.

        Args:
            api: "REST" or "GRPC".
            method: The name of the method in the metrics.
        """
        record = Record()
        start = time.monotonic()
        code = "OK"
        try:
            yield record
        except BaseException as problem:
            # A client that is gone cancels the coroutine that answers it.
            is_cancelled = isinstance(problem, (asyncio.CancelledError, concurrent.futures.CancelledError))
            code = problem.code if isinstance(problem, RequestError) else "CANCELLED" if is_cancelled else "INTERNAL"
            raise
        finally:
            seconds = time.monotonic() - start
            self.metrics.request_count.add(model_name=self._counted_name(record.model), status=code)
            if code == "OK":
                self.metrics.request_latency.record(seconds * 1e6, model_name=record.model, API=method, entrypoint=api)
            self._log.write(
                api=api, method=method, model=record.model, code=code, seconds=seconds, examples=record.examples
            )

    def _counted_name(self, name: str) -> str:
        """Returns the name of a model in the metrics: an empty one for most of the names that clients make up."""
        if self.models.knows(name) or name in self._unknown_names:
            return name
        # Each name needs memory in the metrics.
        if len(self._unknown_names) < _MOST_UNKNOWN_NAMES and len(name) <= _LONGEST_UNKNOWN_NAME:
            self._unknown_names.add(name)
            return name
        return ""


def timed_out() -> RequestError:
    """Returns the error for a request that took too long."""
    return RequestError("DEADLINE_EXCEEDED", "Timed out waiting for notification")


def result_of(future: Future[Outputs], seconds: float | None) -> Outputs:
    """Waits for the outputs of a request.

    Args:
        future: The future of the outputs.
        seconds: The seconds to wait; None for no limit.

    Raises:
        RequestError: The graph cannot compute the request, or not within this time.
    """
    try:
        return future.result(seconds)
    except concurrent.futures.TimeoutError:
        # Unless it runs already, it is not computed any more.
        future.cancel()
        raise timed_out() from None


def signature_defs(served: ServedVersion) -> Any:
    """Returns the signatures of a version as TensorFlow Serving's message SignatureDefMap."""
    from tensorflow_serving.apis.get_model_metadata_pb2 import SignatureDefMap

    message = SignatureDefMap()
    for name, signature in served.signatures.items():
        message.signature_def[name].CopyFrom(signature)
    return message
