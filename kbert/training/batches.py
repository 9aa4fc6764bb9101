"""Batches of encoded texts, those of like length together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf

from kbert import features
from kbert.text.graph_encoder import GraphEncoder

_POOL_BATCHES = 64
"""Batches whose examples are sorted by length together, at most."""
_ROUNDING = 8
"""Widths are multiples of it, so that there are few different shapes to prepare for."""
_ENCODED_AT_ONCE = 4096


class EncodedTexts:
    """Token ids of many texts, joined, and where each begins.

    Args:
        encode: The graph that encodes; the one that the model will be served with.
        texts: The texts.
        pairs: Their second texts.
    """

    def __init__(self, encode: GraphEncoder, texts: Sequence[str], pairs: Sequence[str] | None = None) -> None:
        graph = tf.function(encode.ragged, reduce_retracing=True)
        ids, types, lengths = [], [], []
        for start in range(0, len(texts), _ENCODED_AT_ONCE):
            part = slice(start, start + _ENCODED_AT_ONCE)
            arguments = [tf.constant(texts[part])] + ([] if pairs is None else [tf.constant(pairs[part])])
            encoded, type_ids = graph(*arguments)
            ids.append(encoded.flat_values.numpy())
            types.append(type_ids.flat_values.numpy())
            lengths.append(encoded.row_lengths().numpy())
        self.ids = np.concatenate(ids)
        self.type_ids = np.concatenate(types)
        self.lengths = np.concatenate(lengths)
        self.starts = np.cumsum(self.lengths) - self.lengths
        self.pad_id = encode.tokenizer.vocabulary.pad_id
        self.longest = encode.sequence_length

    def __len__(self) -> int:
        return len(self.lengths)

    def batch(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """The encoder's features of some texts, int32 [len(rows), S], padded to the longest of them."""
        lengths = self.lengths[rows]
        width = min(self.longest, -(-int(lengths.max()) // _ROUNDING) * _ROUNDING)
        columns = np.arange(width)
        inside = columns < lengths[:, None]
        places = np.where(inside, self.starts[rows][:, None] + columns, 0)
        return {
            features.INPUT_WORD_IDS.name: np.where(inside, self.ids[places], self.pad_id).astype(np.int32),
            features.INPUT_MASK.name: inside.astype(np.int32),
            features.INPUT_TYPE_IDS.name: np.where(inside, self.type_ids[places], 0).astype(np.int32),
        }


class LengthBucketedBatches:
    """Batches for `steps` steps, an order of examples for each epoch; a function of the seed alone.

    The examples of all epochs follow each other in random order. Those of _POOL_BATCHES batches of an epoch are sorted
    by length and cut into batches, and these are shuffled: there is little padding, and no order of lengths to learn
    from.

    Args:
        encoded: The texts.
        targets: Further arrays of a batch, with a row a text.
        batch_size: Examples a batch; the last batch of an epoch is filled from the next.
        steps: Batches in all.
        seed: Of the order.
    """

    def __init__(
        self,
        encoded: EncodedTexts,
        targets: Mapping[str, np.ndarray],
        *,
        batch_size: int,
        steps: int,
        seed: int = 0,
    ) -> None:
        self.encoded = encoded
        self.targets = dict(targets)
        self.batch_size = batch_size
        self.steps = steps
        self.seed = seed

    @property
    def element_spec(self) -> dict[str, tf.TensorSpec]:
        """What a batch looks like; its width varies."""
        spec = {
            feature.name: tf.TensorSpec([self.batch_size, None], feature.dtype) for feature in features.ENCODER_FEATURES
        }
        for name, values in self.targets.items():
            spec[name] = tf.TensorSpec([self.batch_size, *values.shape[1:]], values.dtype)
        return spec

    def batches(self, start: int = 0) -> Iterator[dict[str, np.ndarray]]:
        """Yields the batches of steps `start`, `start` + 1, ... up to the last."""
        for first, end in self._pools():
            if end > start:
                for rows in self._plan(first, end)[max(0, start - first) :]:
                    targets = {name: values[rows] for name, values in self.targets.items()}
                    yield self.encoded.batch(rows) | targets

    def example_names(self, number: int) -> list[str]:
        """The rows of batch `number`: "row N", with N from 1."""
        for first, end in self._pools():
            if first <= number < end:
                return [f"row {row + 1}" for row in self._plan(first, end)[number - first]]
        return []

    def _pools(self) -> Iterator[tuple[int, int]]:
        """The first step of each pool, and the step after its last; no pool mixes epochs, or its sorting would put
        the same text into a batch again and again.
        """  # noqa: D205 (one sentence)
        size = len(self.encoded)
        epochs = -(-self.steps * self.batch_size // size)
        ends = (min(self.steps, -(-epoch * size // self.batch_size)) for epoch in range(1, epochs + 1))
        begin = 0
        for end in ends:
            for first in range(begin, end, _POOL_BATCHES):
                yield first, min(end, first + _POOL_BATCHES)
            begin = end

    def _plan(self, first: int, end: int) -> np.ndarray:
        """The texts of each batch of a pool, int64 [batches, batch_size]."""
        rows = self._order(first * self.batch_size, end * self.batch_size)
        rows = rows[np.argsort(self.encoded.lengths[rows], kind="stable")].reshape(-1, self.batch_size)
        return np.random.default_rng([self.seed, first, 1]).permutation(rows)

    def _order(self, begin: int, end: int) -> np.ndarray:
        """Places `begin` to `end` of the endless order: a permutation of all texts an epoch."""
        size = len(self.encoded)
        epochs = range(begin // size, -(-end // size))
        order = np.concatenate([np.random.default_rng([self.seed, epoch]).permutation(size) for epoch in epochs])
        return order[begin - epochs[0] * size : end - epochs[0] * size]
