"""Batches of rows of tokens, those of like length together."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from kbert import features
from kbert.tasks.protocol.training_rows import Ragged, TrainingRows

_POOL_BATCHES = 64
"""Batches whose items are sorted by length together, at most."""
_ROUNDING = 8
"""Widths are multiples of it, so that there are few different shapes to prepare for."""


class LengthBucketedBatches:
    """Batches for `steps` steps, an order of items for each epoch; a function of the seed alone.

    The items of all epochs follow each other in random order. Those of _POOL_BATCHES batches of an epoch are sorted
    by length and cut into batches, and these are shuffled: there is little padding, and no order of lengths to learn
    from.

    Args:
        rows: The items.
        batch_size: Items a batch; the last batch of an epoch is filled from the next.
        steps: Batches in all.
        sequence_length: The widest batch.
        pad_id: The id of [PAD].
        seed: Of the order.
    """

    def __init__(
        self,
        rows: TrainingRows,
        *,
        batch_size: int,
        steps: int,
        sequence_length: int,
        pad_id: int = 0,
        seed: int = 0,
    ) -> None:
        self.rows = rows
        self.batch_size = batch_size
        self.steps = steps
        self.sequence_length = sequence_length
        self.pad_id = pad_id
        self.seed = seed
        lengths = rows.ids.lengths
        # The length of each item in tokens; of an item with several rows, the length of its longest row.
        if rows.group_sizes is None:
            self.lengths = lengths
            self._first_rows = None
        else:
            self._first_rows = np.cumsum(rows.group_sizes) - rows.group_sizes
            self.lengths = np.maximum.reduceat(lengths, self._first_rows)
        self._starts = {id(lengths): _starts(lengths)}

    @property
    def element_spec(self) -> dict[str, tf.TensorSpec]:
        """What a batch looks like; its width varies, and so does the number of rows an item where there are groups."""
        shape = [self.batch_size, None] if self._first_rows is None else [self.batch_size, None, None]
        spec = {feature.name: tf.TensorSpec(shape, feature.dtype) for feature in features.ENCODER_FEATURES}
        for name, values in self.rows.targets.items():
            if not isinstance(values, Ragged):
                spec[name] = tf.TensorSpec([self.batch_size, *values.shape[1:]], values.dtype)
            else:
                spec[name] = tf.TensorSpec(shape if values.by_token else [self.batch_size, None], values.values.dtype)
        return spec

    def batches(self, start: int = 0) -> Iterator[dict[str, np.ndarray]]:
        """Yields the batches of steps `start`, `start` + 1, ... up to the last."""
        for first, end in self._pools():
            if end > start:
                for items in self._plan(first, end)[max(0, start - first) :]:
                    yield self.batch(items)

    def batch(self, items: np.ndarray) -> dict[str, np.ndarray]:
        """The batch of some items: the encoder's features, int32, and the targets, padded to the longest of them."""
        rows = self._rows_of(items)
        width = min(self.sequence_length, -(-int(self.lengths[items].max()) // _ROUNDING) * _ROUNDING)
        ids, inside = self._padded(self.rows.ids, rows, width)
        types, _ = self._padded(self.rows.type_ids, rows, width)
        batch = {
            features.INPUT_WORD_IDS.name: np.where(inside, ids, self.pad_id).astype(np.int32),
            features.INPUT_MASK.name: inside.astype(np.int32),
            features.INPUT_TYPE_IDS.name: types.astype(np.int32),
        }
        for name, values in self.rows.targets.items():
            if not isinstance(values, Ragged):
                batch[name] = values[items]
            elif values.by_token:
                batch[name], _ = self._padded(values, rows, width)
            else:
                batch[name], _ = self._padded(values, items, max(1, int(values.lengths[items].max())))
        return batch

    def _rows_of(self, items: np.ndarray) -> np.ndarray:
        """The rows of items, int64 [B], or with groups [B, C], -1 where an item has fewer."""
        if self._first_rows is None or self.rows.group_sizes is None:
            return items
        places = np.arange(self.rows.group_sizes[items].max())
        inside = places < self.rows.group_sizes[items][:, None]
        return np.where(inside, self._first_rows[items][:, None] + places, -1)

    def _padded(self, ragged: Ragged, rows: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Values of rows [..., width], and where there are some."""
        starts = self._starts.get(id(ragged.lengths))
        if starts is None:
            starts = self._starts[id(ragged.lengths)] = _starts(ragged.lengths)
        columns = np.arange(width)
        inside = (columns < ragged.lengths[rows][..., None]) & (rows >= 0)[..., None]
        places = np.where(inside, starts[rows][..., None] + columns, 0)
        values = ragged.values[places] if len(ragged.values) else np.zeros(places.shape, ragged.values.dtype)
        return np.where(inside, values, np.array(ragged.padding, ragged.values.dtype)), inside

    def example_names(self, number: int) -> list[str]:
        """The rows of batch `number`: "row N", with N from 1."""
        for first, end in self._pools():
            if first <= number < end:
                return [f"row {row + 1}" for row in self._plan(first, end)[number - first]]
        return []

    def _pools(self) -> Iterator[tuple[int, int]]:
        """The first step of each pool, and the step after its last; no pool mixes epochs, or its sorting would put
        the same item into a batch again and again.
        """  # noqa: D205 (one sentence)
        size = len(self.rows)
        epochs = -(-self.steps * self.batch_size // size)
        ends = (min(self.steps, -(-epoch * size // self.batch_size)) for epoch in range(1, epochs + 1))
        begin = 0
        for end in ends:
            for first in range(begin, end, _POOL_BATCHES):
                yield first, min(end, first + _POOL_BATCHES)
            begin = end

    def _plan(self, first: int, end: int) -> np.ndarray:
        """The items of each batch of a pool, int64 [batches, batch_size]."""
        rows = self._order(first * self.batch_size, end * self.batch_size)
        rows = rows[np.argsort(self.lengths[rows], kind="stable")].reshape(-1, self.batch_size)
        return np.random.default_rng([self.seed, first, 1]).permutation(rows)

    def _order(self, begin: int, end: int) -> np.ndarray:
        """Places `begin` to `end` of the endless order: a permutation of all items an epoch."""
        size = len(self.rows)
        epochs = range(begin // size, -(-end // size))
        order = np.concatenate([np.random.default_rng([self.seed, epoch]).permutation(size) for epoch in epochs])
        return order[begin - epochs[0] * size : end - epochs[0] * size]


def _starts(lengths: np.ndarray) -> np.ndarray:
    return np.cumsum(lengths) - lengths
