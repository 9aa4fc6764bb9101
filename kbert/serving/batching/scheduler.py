"""Gathers requests into batches, and computes them."""

from __future__ import annotations

import collections
import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future

import numpy as np

from kbert.serving.batching import rows
from kbert.serving.batching.parameters import BatchingParameters
from kbert.serving.request_error import RequestError, invalid

_LOGGER = logging.getLogger("kbert.serving")
Outputs = dict[str, np.ndarray]
Run = Callable[[Mapping[str, np.ndarray]], Outputs]


class _RequestFuture(Future[Outputs]):
    """The future of a request. It can be cancelled while parts of the request are computed: the others are dropped."""

    def __init__(self) -> None:
        super().__init__()
        self.is_unwanted = False

    def cancel(self) -> bool:
        """Cancels the request. Returns False if a part of it is being computed or was computed already."""
        self.is_unwanted = True
        return super().cancel()


class _Request:
    """A request whose parts are computed in one or several batches."""

    def __init__(self, part_count: int) -> None:
        self.future = _RequestFuture()
        self._outputs: list[Outputs | None] = [None] * part_count
        self._missing = part_count
        self._is_active: bool | None = None
        self._lock = threading.Lock()

    def start(self) -> bool:
        """Returns whether a part of the request is to be computed: nobody has cancelled it, and no part has failed."""
        with self._lock:
            if self._is_active is None:
                self._is_active = self.future.set_running_or_notify_cancel()
            if not self._is_active or self.future.done():
                return False
            if self.future.is_unwanted:
                # A client that is gone, or has waited too long, must not keep a thread busy for all of its texts.
                self.future.set_exception(RequestError("CANCELLED", "the request was cancelled"))
                return False
            return True

    def finish(self, index: int, outputs: Outputs) -> None:
        """Takes the outputs of one part; the last one completes the request."""
        with self._lock:
            self._outputs[index] = outputs
            self._missing -= 1
            complete = self._missing == 0 and not self.future.done()
        if complete:
            self.future.set_result(rows.stacked([each for each in self._outputs if each is not None]))

    def fail(self, problem: BaseException) -> None:
        """Ends the request with an error."""
        with self._lock:
            if not self.future.done():
                self.future.set_exception(problem)


@dataclasses.dataclass(frozen=True)
class _Part:
    """Rows of one request that are computed in one batch."""

    request: _Request
    index: int
    inputs: Mapping[str, np.ndarray]
    row_count: int
    length: int
    arrival: float


@dataclasses.dataclass
class BatchObserver:
    """Functions that are told of queues and batches, for metrics."""

    batch: Callable[[int], object] = lambda row_count: None
    """Called with the number of rows of each batch."""
    waited: Callable[[float], object] = lambda seconds: None
    """Called with the seconds that a part of a request waited."""


class BatchQueue:
    """The requests that wait for one signature of one version of a model.

    Args:
        scheduler: The scheduler whose threads compute the batches.
        run: Computes a batch: a function from its inputs to its outputs.
        parameters: The parameters of batching.
        trimmed: The outputs whose second dimension holds lists of several lengths.
        count: The output that holds the lengths of these lists.
        observer: Is told of each batch.
    """

    def __init__(
        self,
        scheduler: BatchScheduler,
        run: Run,
        parameters: BatchingParameters,
        *,
        trimmed: Sequence[str] = (),
        count: str = "",
        observer: BatchObserver | None = None,
    ) -> None:
        self._scheduler = scheduler
        self._run = run
        self._parameters = parameters
        self._trimmed = trimmed
        self._count = count
        self._observer = observer or BatchObserver()
        self._parts: collections.deque[_Part] = collections.deque()
        self._waiting_rows = 0
        self.running = 0

    def submit(self, inputs: Mapping[str, np.ndarray]) -> Future[Outputs]:
        """Adds a request, and returns the future of its outputs.

        Raises:
            RequestError: The request is too large, or too many requests wait.
        """
        row_count = rows.row_count(inputs)
        parameters, limit = self._parameters, self._parameters.limit
        if row_count > parameters.max_batch_size and not parameters.enable_large_batch_splitting:
            raise invalid(f"Task size {row_count} is larger than maximum input batch size {parameters.max_batch_size}")
        # A request without rows has one part without rows.
        starts = range(0, max(1, row_count), limit)
        request = _Request(len(starts))
        now = time.monotonic()
        parts = []
        for index, start in enumerate(starts):
            piece = rows.part(inputs, start, start + limit) if len(starts) > 1 else inputs
            size = min(limit, row_count - start)
            parts.append(_Part(request, index, piece, size, rows.byte_length(piece), now))
        with self._scheduler.changed:
            if self._scheduler.is_closed:
                raise RequestError("UNAVAILABLE", "the server is being stopped")
            if self._waiting_rows and self._waiting_rows + row_count > parameters.max_enqueued_batches * max(
                limit, parameters.max_batch_size
            ):
                raise RequestError("UNAVAILABLE", "The batch scheduling queue to which this task was submitted is full")
            self._parts.extend(parts)
            self._waiting_rows += row_count
            self._scheduler.add(self)
        return request.future

    @property
    def length(self) -> int:
        """The number of parts of requests that wait."""
        return len(self._parts)

    def is_idle(self) -> bool:
        """Returns whether no request waits or is computed."""
        return not self._parts and not self.running

    def wait_seconds(self, now: float) -> float:
        """Returns the seconds after which a batch may be taken; 0 if it may be taken now."""
        if self._waiting_rows >= self._parameters.limit:
            return 0.0
        return max(0.0, self._parts[0].arrival + self._parameters.batch_timeout_micros / 1e6 - now)

    def take(self) -> list[_Part]:
        """Removes the parts of the next batch: the oldest one, and those whose texts are most similar in length."""
        oldest = self._parts[0]
        others = sorted(list(self._parts)[1:], key=lambda each: abs(each.length - oldest.length))
        batch, size = [oldest], oldest.row_count
        for each in others:
            if size + each.row_count <= self._parameters.limit:
                batch.append(each)
                size += each.row_count
        taken = set(map(id, batch))
        self._parts = collections.deque(each for each in self._parts if id(each) not in taken)
        self._waiting_rows -= size
        return batch

    def compute(self, batch: list[_Part]) -> None:
        """Computes a batch. If it fails, its requests are computed one by one, so that only invalid ones fail."""
        # A request whose client is gone was cancelled while it waited.
        batch = [part for part in batch if part.request.start()]
        if not batch:
            return
        now = time.monotonic()
        for part in batch:
            self._observer.waited(now - part.arrival)
        try:
            outputs = self._outputs(batch)
        except Exception as problem:
            # A batch that took too long is not computed again: each of its requests could take as long.
            took_too_long = isinstance(problem, RequestError) and problem.code == "DEADLINE_EXCEEDED"
            if len(batch) > 1 and not took_too_long:
                for part in batch:
                    self.compute([part])
            else:
                for part in batch:
                    part.request.fail(problem)
            return
        start = 0
        for part in batch:
            try:
                piece = rows.part(outputs, start, start + part.row_count)
                part.request.finish(part.index, rows.without_padding(piece, self._trimmed, self._count))
            except Exception as problem:
                # The outputs are not those that the signature declares.
                part.request.fail(problem)
            start += part.row_count

    def _outputs(self, batch: list[_Part]) -> Outputs:
        size = sum(part.row_count for part in batch)
        # No row of a request without rows can be copied.
        allowed = self._parameters.allowed_batch_sizes if size else ()
        full = next((each for each in allowed if each >= size), size)
        padded = self._parameters.pad_variable_length_inputs
        self._observer.batch(size)
        outputs = self._run(rows.joined([part.inputs for part in batch], padded=padded, size=full))
        rows.check_rows(outputs, full)
        return outputs


class BatchScheduler:
    """Threads that compute the batches of all queues, in turns.

    Args:
        thread_count: The number of batches that are computed at the same time.
    """

    def __init__(self, thread_count: int) -> None:
        self.changed = threading.Condition()
        self._queues: collections.deque[BatchQueue] = collections.deque()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"kbert-serving-batch-{number}", daemon=True)
            for number in range(thread_count)
        ]
        for thread in self._threads:
            thread.start()

    def add(self, queue: BatchQueue) -> None:
        """Tells that a request waits in a queue. The caller holds `changed`."""
        if queue not in self._queues:
            self._queues.append(queue)
        self.changed.notify_all()

    def wait_until_idle(self, queue: BatchQueue) -> None:
        """Returns when all requests of a queue are computed."""
        with self.changed:
            self.changed.wait_for(queue.is_idle)

    @property
    def is_closed(self) -> bool:
        """Whether no thread computes further requests."""
        return self._closed

    def close(self) -> None:
        """Ends the threads after all requests that wait."""
        with self.changed:
            self._closed = True
            self.changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while True:
            with self.changed:
                queue = self._next_queue()
                if queue is None:
                    return
                batch = queue.take()
                queue.running += 1
                if queue.length:
                    # Further batches of this queue come after those of the other queues.
                    self.add(queue)
            try:
                queue.compute(batch)
            except Exception:
                _LOGGER.exception("a batch failed")
            finally:
                with self.changed:
                    queue.running -= 1
                    self.changed.notify_all()

    def _next_queue(self) -> BatchQueue | None:
        """Waits for a queue that has a batch, and removes it from the turns; None when the scheduler is closed."""
        while True:
            now = time.monotonic()
            waits = [(queue.wait_seconds(now), queue) for queue in self._queues]
            for seconds, queue in waits:
                if seconds == 0 or self._closed:
                    self._queues.remove(queue)
                    return queue
            if self._closed:
                return None
            self.changed.wait(min((seconds for seconds, _ in waits), default=None))
