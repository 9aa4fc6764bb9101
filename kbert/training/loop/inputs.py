"""The input of the training loop: batches are prepared while the replicas compute, and divided among the replicas."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from kbert.errors import KbertError
from kbert.training.devices.strategy import Distribution
from kbert.training.monitoring.throughput import Throughput

STEP_END = "step_end"
"""The name of an entry of batches, bool [B], which is false for a batch that is followed by others of the same step.
Without this entry, each batch is a step."""
_AHEAD = 4
"""The number of batches that are prepared in advance."""
_TRUE = np.True_


def _options() -> tf.data.Options:
    options = tf.data.Options()
    # The pipeline has nothing to tune. With autotuning, an iterator also lives until the next check of its tuning
    # thread, which checks less and less often: a run of some minutes would take up to one more minute to end.
    options.autotune.enabled = False
    return options


class BatchSource(Protocol):
    """A source of batches, in which a batch depends only on its number."""

    batch_size: int
    """The number of examples in a batch, over all replicas."""

    @property
    def element_spec(self) -> Mapping[str, tf.TensorSpec]:
        """The shapes and dtypes of a batch."""

    def batches(self, start: int = 0) -> Iterator[dict[str, np.ndarray]]:
        """Yields the batches with the numbers `start`, `start` + 1, ..."""

    def example_names(self, number: int) -> list[str]:
        """Returns the names of the examples of batch `number`, such as files and line numbers."""


@dataclasses.dataclass(frozen=True)
class Phase:
    """A part of a run with its own source of batches.

    Args:
        steps: The number of steps.
        batches: The source of the batches.
    """

    steps: int
    batches: BatchSource


def phase_at(phases: Sequence[Phase], step: int) -> tuple[Phase, int]:
    """Returns the phase of a step, counted from 0, and the number of the first step after the phase."""
    end = 0
    for phase in phases:
        end += phase.steps
        if step < end:
            return phase, end
    return phases[-1], end


class Input:
    """The batches from a given number on, each divided into one slice for each replica.

    Every worker prepares whole batches and keeps the rows of its own replicas, so that the masks do not depend on the
    number of workers.

    Args:
        source: The source of the batches.
        placement: The devices of the run.
        start: The number of the first batch.
        meter: The meter that counts the work of each batch.
    """

    def __init__(self, source: BatchSource, placement: Distribution, start: int, meter: Throughput) -> None:
        self.source = source
        self.problem: KbertError | None = None
        self._start = start
        self._meter = meter
        self._work: list[np.ndarray] = []
        self._closed = False
        rows = source.batch_size // placement.strategy.num_replicas_in_sync
        self.element_spec = {
            name: tf.TensorSpec([rows, *spec.shape[1:]], spec.dtype) for name, spec in source.element_spec.items()
        }

        def of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
            replicas = context.num_replicas_in_sync // context.num_input_pipelines
            first = context.input_pipeline_id * replicas
            slices = [slice(rows * (first + index), rows * (first + index + 1)) for index in range(replicas)]
            dataset = tf.data.Dataset.from_generator(lambda: self._generate(slices), output_signature=self.element_spec)
            return dataset.prefetch(_AHEAD * replicas).with_options(_options())

        if isinstance(placement.strategy, tf.distribute.OneDeviceStrategy) and not tf.config.list_logical_devices(
            "GPU"
        ):
            # Data need not be copied to another device in advance. The distributed iterator, which would do that, has
            # an autotuning thread; see _options.
            self.iterator: Any = iter(of_worker(tf.distribute.InputContext()))
        else:
            self.iterator = iter(placement.strategy.distribute_datasets_from_function(of_worker))

    def work(self, count: int) -> np.ndarray:
        """Returns the sum of `Throughput.work` over the next `count` steps, which the loop has done."""
        taken, self._work[:count] = self._work[:count], []
        return np.sum(taken, axis=0)

    def close(self) -> None:
        """Stops the preparation of batches, since a TensorFlow thread that runs Python code may keep Python alive."""
        self._closed = True
        self.iterator = None

    def _generate(self, slices: Sequence[slice]) -> Iterator[dict[str, np.ndarray]]:
        work: Any = 0.0
        try:
            for batch in self.source.batches(self._start):
                if self._closed:
                    return
                work = work + self._meter.work(batch)
                if batch.get(STEP_END, _TRUE).all():
                    self._work.append(work)
                    work = 0.0
                for part in slices:
                    yield {name: values[part] for name, values in batch.items()}
        except KbertError as problem:
            self.problem = problem
            raise
