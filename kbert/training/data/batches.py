"""Batches of rows of tokens, in which rows have similar lengths."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from kbert import features
from kbert.tasks.protocol.training_rows import Ragged, TrainingRows

_POOL_BATCHES = 64
"""The maximum number of batches in a pool, whose items are sorted by length together."""
_ROUNDING = 8
"""The widths of batches are multiples of this number, so that there are few different shapes."""


class LengthBucketedBatches:
    """The batches of all steps, whose order depends on the seed only.

    Each epoch has its own random order of items. The items of up to _POOL_BATCHES batches of an epoch form a pool: they
    are sorted by length and cut into batches, and the batches are shuffled. There is thus little padding, and the
    lengths of successive batches are in random order.

    Args:
        rows: The items, each with one or several rows of tokens, and their targets.
        batch_size: The number of items in a batch. The last batch of an epoch is filled with items of the next epoch.
        steps: The total number of batches.
        sequence_length: The maximum width of a batch in tokens.
        pad_id: The id of [PAD].
        seed: Seeds the order of items.
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
        # The length of each item in tokens is that of its longest row.
        if rows.group_sizes is None:
            self.lengths = lengths
            self._first_rows = None
        else:
            self._first_rows = np.cumsum(rows.group_sizes) - rows.group_sizes
            self.lengths = np.maximum.reduceat(lengths, self._first_rows)
        self._starts = {id(lengths): _starts(lengths)}

    @property
    def element_spec(self) -> dict[str, tf.TensorSpec]:
        """The shapes and dtypes of a batch. The width varies, and with groups also the number of rows of an item."""
        shape = [self.batch_size, None] if self._first_rows is None else [self.batch_size, None, None]
        spec = {feature.name: tf.TensorSpec(shape, feature.dtype) for feature in features.ENCODER_FEATURES}
        for name, values in self.rows.targets.items():
            if not isinstance(values, Ragged):
                spec[name] = tf.TensorSpec([self.batch_size, *values.shape[1:]], values.dtype)
            else:
                outer = shape if values.by_token else [self.batch_size, None]
                spec[name] = tf.TensorSpec([*outer, *values.values.shape[1:]], values.values.dtype)
        return spec

    def batches(self, start: int = 0) -> Iterator[dict[str, np.ndarray]]:
        """Yields the batches of the steps `start`, `start` + 1, ... up to the last step."""
        for first, end in self._pools():
            if end > start:
                for items in self._plan(first, end)[max(0, start - first) :]:
                    yield self.batch(items)

    def batch(self, items: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the batch of some items: the encoder's features (int32) and the targets, padded to the longest item.

        Args:
            items: The numbers of the items, int64 [B].
        """
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
        """Returns the numbers of the rows of items, int64 [B]; with groups [B, C], with -1 for missing rows."""
        if self._first_rows is None or self.rows.group_sizes is None:
            return items
        places = np.arange(self.rows.group_sizes[items].max())
        inside = places < self.rows.group_sizes[items][:, None]
        return np.where(inside, self._first_rows[items][:, None] + places, -1)

    def _padded(self, ragged: Ragged, rows: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the values of rows, padded to [..., width], and a mask that is true where there is a value.

        If the values are vectors, the first result is padded to [..., width, size of a vector].
        """
        starts = self._starts.get(id(ragged.lengths))
        if starts is None:
            starts = self._starts[id(ragged.lengths)] = _starts(ragged.lengths)
        columns = np.arange(width)
        inside = (columns < ragged.lengths[rows][..., None]) & (rows >= 0)[..., None]
        places = np.where(inside, starts[rows][..., None] + columns, 0)
        size = ragged.values.shape[1:]
        values = ragged.values[places] if len(ragged.values) else np.zeros((*places.shape, *size), ragged.values.dtype)
        mask = inside.reshape(*inside.shape, *(1 for _ in size))
        return np.where(mask, values, np.array(ragged.padding, ragged.values.dtype)), inside

    def example_names(self, number: int) -> list[str]:
        """Returns the names of the items of batch `number`: "row N", with N counted from 1."""
        for first, end in self._pools():
            if first <= number < end:
                return [f"row {row + 1}" for row in self._plan(first, end)[number - first]]
        return []

    def _pools(self) -> Iterator[tuple[int, int]]:
        """Yields the first step of each pool and the step after its last.

        A pool does not mix epochs. Otherwise, sorting would put the copies of an item into the same batch.
        """
        size = len(self.rows)
        epochs = -(-self.steps * self.batch_size // size)
        ends = (min(self.steps, -(-epoch * size // self.batch_size)) for epoch in range(1, epochs + 1))
        begin = 0
        for end in ends:
            for first in range(begin, end, _POOL_BATCHES):
                yield first, min(end, first + _POOL_BATCHES)
            begin = end

    def _plan(self, first: int, end: int) -> np.ndarray:
        """Returns the items of each batch of a pool, int64 [batches, batch_size]."""
        rows = self._order(first * self.batch_size, end * self.batch_size)
        rows = rows[np.argsort(self.lengths[rows], kind="stable")].reshape(-1, self.batch_size)
        return np.random.default_rng([self.seed, first, 1]).permutation(rows)

    def _order(self, begin: int, end: int) -> np.ndarray:
        """Returns the items from `begin` to `end` of the sequence of epochs, each of which permutes all items."""
        size = len(self.rows)
        epochs = range(begin // size, -(-end // size))
        order = np.concatenate([np.random.default_rng([self.seed, epoch]).permutation(size) for epoch in epochs])
        return order[begin - epochs[0] * size : end - epochs[0] * size]


def _starts(lengths: np.ndarray) -> np.ndarray:
    return np.cumsum(lengths) - lengths
