"""Batches by Poisson sampling: each step draws each row with the same probability, independently of all others.

The accounting of privacy holds for such draws, and only if nobody knows them. They are therefore secret: they come from
the operating system's source of random numbers, and not from the seed of the run, which run.json holds.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from kbert.tasks.protocol.training_rows import TrainingRows
from kbert.training.data.batches import LengthBucketedBatches
from kbert.training.loop.inputs import STEP_END

COUNTED = "counted"
"""The name of the entry of batches that is 1 for drawn items, and 0 for those that fill a batch, float32 [B]."""


class PoissonBatches:
    """The draws of all steps. A draw is divided into batches of a fixed size, the last of which is filled with padding.

    The items of a draw are sorted by length, so that the items of a batch have similar lengths.

    Args:
        rows: The items, each with one or several rows of tokens, and their targets.
        expected: The mean number of items that a step draws.
        batch_size: The number of items that are computed together.
        steps: The total number of steps.
        sequence_length: The maximum width of a batch in tokens.
        pad_id: The id of [PAD].
        draws: Draws the items; by default a secret generator.
    """

    def __init__(
        self,
        rows: TrainingRows,
        *,
        expected: int,
        batch_size: int,
        steps: int,
        sequence_length: int,
        pad_id: int = 0,
        draws: np.random.Generator | None = None,
    ) -> None:
        self.batch_size = batch_size
        self.steps = steps
        self.sampling_rate = expected / len(rows)
        self._draws = np.random.default_rng(secrets.randbits(256)) if draws is None else draws
        self._batches = LengthBucketedBatches(
            rows, batch_size=batch_size, steps=steps, sequence_length=sequence_length, pad_id=pad_id
        )

    @property
    def element_spec(self) -> dict[str, tf.TensorSpec]:
        """The shapes and dtypes of a batch."""
        return {
            **self._batches.element_spec,
            COUNTED: tf.TensorSpec([self.batch_size], tf.float32),
            STEP_END: tf.TensorSpec([self.batch_size], tf.bool),
        }

    def batches(self, start: int = 0) -> Iterator[dict[str, np.ndarray]]:
        """Yields the batches of the steps `start`, `start` + 1, ... Each step has one or more of them."""
        lengths = self._batches.lengths
        for _ in range(start, self.steps):
            items = np.flatnonzero(self._draws.random(len(lengths)) < self.sampling_rate)
            items = items[np.argsort(lengths[items], kind="stable")]
            for first in range(0, max(1, len(items)), self.batch_size):
                yield self._batch(items[first : first + self.batch_size], first + self.batch_size >= len(items))

    def example_names(self, number: int) -> list[str]:
        """Returns nothing, since it is secret which items a step drew."""
        return []

    def _batch(self, items: np.ndarray, is_last: bool) -> dict[str, np.ndarray]:
        """Returns a batch of some items, filled up with items that have no tokens."""
        count, size = len(items), self.batch_size
        # A draw may be empty. The noise of such a step is added all the same.
        batch = self._batches.batch(items if count else np.zeros(1, np.int64))
        filled = {}
        for name, values in batch.items():
            filled[name] = np.zeros((size, *values.shape[1:]), values.dtype)
            filled[name][:count] = values[:count]
        return {
            **filled,
            COUNTED: (np.arange(size) < count).astype(np.float32),
            STEP_END: np.full(size, is_last),
        }
