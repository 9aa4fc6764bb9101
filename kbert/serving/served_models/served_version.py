"""One version of a model that answers requests."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future
from typing import Any

import numpy as np

from kbert.serving.batching.parameters import BatchingParameters
from kbert.serving.batching.scheduler import BatchObserver, BatchQueue, BatchScheduler
from kbert.serving.request_error import RequestError
from kbert.serving.served_models.served_model import ServedModel

Outputs = dict[str, np.ndarray]
_COUNT = "count"
# Each choice of outputs needs a queue and a part of the graph in memory.
_MOST_CHOICES = 64


class ServedVersion:
    """A version in memory with its queues of requests.

    Args:
        name: The name of the model in requests.
        version: The version.
        model: The model in memory.
        manifest: The manifest of the model; None for models of other programs.
        executor: The threads that run requests which are not gathered into batches.
        scheduler: The threads that compute batches.
        parameters: The parameters of batching; None for no batching.
        batch_all: Whether all signatures are batched rather than those of kbert's models that take texts.
        observer: Is told of each batch.
    """

    def __init__(
        self,
        name: str,
        version: int,
        model: ServedModel,
        *,
        manifest: Mapping[str, Any] | None,
        executor: Executor,
        scheduler: BatchScheduler,
        parameters: BatchingParameters | None,
        batch_all: bool = False,
        observer: BatchObserver | None = None,
    ) -> None:
        self.name = name
        self.version = version
        self.manifest = manifest
        self.model = model
        self._executor = executor
        self._scheduler = scheduler
        self._parameters = parameters
        self._batch_all = batch_all
        self._observer = observer
        self._queues: dict[tuple[str, tuple[str, ...]], BatchQueue | None] = {}
        self._users = 0
        self._is_retired = False
        self._changed = threading.Condition()

    @property
    def signatures(self) -> Mapping[str, Any]:
        """The SignatureDefs by name."""
        return self.model.signatures

    def acquire(self) -> bool:
        """Keeps the model in memory until `release`. Returns False if the version is no longer served."""
        with self._changed:
            if self._is_retired:
                return False
            self._users += 1
            return True

    def release(self) -> None:
        """Ends one use of the model."""
        with self._changed:
            self._users -= 1
            self._changed.notify_all()

    def submit(self, signature_name: str, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> Future[Outputs]:
        """Computes a request in another thread, perhaps in one batch with others.

        Args:
            signature_name: The name of the signature.
            inputs: The inputs of the signature, as in `ServedModel.run`.
            outputs: The names of the outputs.

        Returns:
            The future of these outputs, and perhaps of others; its exception is a RequestError if the request is
            invalid for the graph.

        Raises:
            RequestError: The request is too large, or too many requests wait.
        """
        wanted = tuple(outputs)
        if (signature_name, wanted) not in self._queues and len(self._queues) >= _MOST_CHOICES:
            wanted = tuple(sorted(self.signatures[signature_name].outputs))
        queue = self._queue(signature_name, wanted)
        if queue is None:
            return self._executor.submit(self.model.run, signature_name, inputs, wanted)
        return queue.submit(inputs)

    def queue_length(self) -> int:
        """Returns the number of requests that wait for a batch."""
        return sum(queue.length for queue in list(self._queues.values()) if queue is not None)

    def retire(self) -> None:
        """Waits for the requests that use the model, and frees its memory."""
        with self._changed:
            self._is_retired = True
            self._changed.wait_for(lambda: self._users == 0)
        for queue in self._queues.values():
            if queue is not None:
                self._scheduler.wait_until_idle(queue)
        self.model.close()

    def _queue(self, signature_name: str, outputs: tuple[str, ...]) -> BatchQueue | None:
        key = (signature_name, outputs)
        if key not in self._queues:
            with self._changed:
                if key not in self._queues:
                    self._queues[key] = self._made_queue(signature_name, outputs)
        return self._queues[key]

    def _made_queue(self, signature_name: str, outputs: tuple[str, ...]) -> BatchQueue | None:
        if self._parameters is None:
            return None
        signature = self.signatures[signature_name]
        lists = _lists(signature, outputs)
        if not self._batch_all and (self.manifest is None or lists is None or not _takes_texts(signature)):
            return None

        def run(inputs: Mapping[str, np.ndarray]) -> Outputs:
            return self.model.run(signature_name, inputs, outputs)

        return BatchQueue(
            self._scheduler, run, self._parameters, trimmed=lists or (), count=_COUNT, observer=self._observer
        )


def not_found(name: str, version: int | None) -> RequestError:
    """Returns the error for a model or a version that is not served."""
    asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
    return RequestError("NOT_FOUND", f"Servable not found for request: {asked}")


def _takes_texts(signature: Any) -> bool:
    from tensorflow.core.framework import types_pb2

    return all(info.dtype == types_pb2.DT_STRING and _sizes(info) == [-1] for info in signature.inputs.values())


def _lists(signature: Any, outputs: Sequence[str]) -> list[str] | None:
    """Returns the outputs that hold a list for each row; None if a batch cannot be divided into its requests.

    kbert's models pad such lists to the longest of a batch, and return their lengths as the output `count`. Divided
    batches are cut to the longest list of the request, so that answers do not depend on other requests.
    """
    lists = []
    for name in outputs:
        sizes = _sizes(signature.outputs[name])
        if sizes is None or sizes[:1] != [-1] or -1 in sizes[2:]:
            return None
        if sizes[1:2] == [-1]:
            lists.append(name)
    return lists if not lists or _COUNT in outputs else None


def _sizes(info: Any) -> list[int] | None:
    return None if info.tensor_shape.unknown_rank else [dimension.size for dimension in info.tensor_shape.dim]
