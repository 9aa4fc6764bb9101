"""Batches on their way to the replicas, read ahead while the replicas compute."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from kbert.errors import KbertError
from kbert.training.devices.strategy import Placement
from kbert.training.monitoring.throughput import Meter

_AHEAD = 4
"""Batches that are prepared before they are asked for."""


def _options() -> tf.data.Options:
    options = tf.data.Options()
    # There is nothing to tune. And an iterator with a thread that tunes is not gone before that thread's next look at
    # it, which comes less and less often: a run of minutes would take up to another minute to end.
    options.autotune.enabled = False
    return options


class BatchSource(Protocol):
    """Where batches come from: the batch of number k is a function of k."""

    batch_size: int
    """Examples a batch, over all replicas."""

    @property
    def element_spec(self) -> Mapping[str, tf.TensorSpec]:
        """What a batch looks like."""

    def batches(self, start: int = 0) -> Iterator[dict[str, np.ndarray]]:
        """Yields the batches of number `start`, `start` + 1, ..."""

    def example_names(self, number: int) -> list[str]:
        """Where the examples of a batch are to be found."""


@dataclasses.dataclass(frozen=True)
class Phase:
    """A part of a run.

    Args:
        steps: How long it is.
        batches: What it learns from.
    """

    steps: int
    batches: BatchSource


def phase_at(phases: Sequence[Phase], step: int) -> tuple[Phase, int]:
    """The phase that a step, counted from 0, is in, and the step that it ends before."""
    end = 0
    for phase in phases:
        end += phase.steps
        if step < end:
            return phase, end
    return phases[-1], end


class Input:
    """The batches from one number on, cut into a slice a replica.

    Every worker prepares whole batches and keeps its own replicas' rows: so no worker can see other masks than
    one machine alone would.

    Args:
        source: Where batches come from.
        placement: Where they go.
        start: Number of the first batch.
        meter: Told what each batch is.
    """

    def __init__(self, source: BatchSource, placement: Placement, start: int, meter: Meter) -> None:
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
            # There is no device to read ahead to, and the iterator that would has a thread that tunes: see _options.
            self.iterator: Any = iter(of_worker(tf.distribute.InputContext()))
        else:
            self.iterator = iter(placement.strategy.distribute_datasets_from_function(of_worker))

    def work(self, count: int) -> np.ndarray:
        """The sum of `Meter.work` over the next `count` batches, which were worked on."""
        taken, self._work[:count] = self._work[:count], []
        return np.sum(taken, axis=0)

    def close(self) -> None:
        """Ends the reading ahead: a thread of TensorFlow's in Python code may keep Python from ending."""
        self._closed = True
        self.iterator = None

    def _generate(self, slices: Sequence[slice]) -> Iterator[dict[str, np.ndarray]]:
        try:
            for batch in self.source.batches(self._start):
                if self._closed:
                    return
                self._work.append(self._meter.work(batch))
                for part in slices:
                    yield {name: values[part] for name, values in batch.items()}
        except KbertError as problem:
            self.problem = problem
            raise
