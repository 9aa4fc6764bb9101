"""A linear-chain conditional random field, which chooses all tags of a sequence together (Lafferty et al. 2001)."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kbert.layers.layer import BertLayer

TABLES = ("start_transitions", "end_transitions", "transitions")
"""The names of the tables of scores."""


@keras.saving.register_keras_serializable("kbert")
class ConditionalRandomField(BertLayer):
    """The transition scores of a CRF: of each pair of neighbouring tags, of the first tag and of the last tag.

    Args:
        tags: The number of tags, C.
    """

    float32_only = True

    def __init__(self, tags: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tags = tags

    def build(self, *_: Any) -> None:
        """Creates the tables. They start at zero, so that a fresh CRF does not change the scores."""
        shapes = (self.tags,), (self.tags,), (self.tags, self.tags)
        self.tables = {
            name: self.add_weight(shape=shape, initializer="zeros", name=name)
            for name, shape in zip(TABLES, shapes, strict=True)
        }

    def outputs(self) -> dict[str, Any]:
        """Returns the tables with a leading dimension of 1, since Keras joins the outputs of a model as batches."""
        return {name: ops.expand_dims(ops.convert_to_tensor(table), 0) for name, table in self.tables.items()}

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor as plain data."""
        return super().get_config() | {"tags": self.tags}


def log_likelihood(emissions: Any, tags: Any, mask: Any, tables: Any) -> Any:
    """Returns the log-likelihood of the tags of each sequence.

    Args:
        emissions: The score of each tag at each position, float32 [B, S, C].
        tags: The tags, int32 [B, S].
        mask: The positions that count, bool [B, S]. All others are skipped; they may be anywhere in a sequence.
        tables: The outputs of `ConditionalRandomField`, float32 [1, C], [1, C] and [1, C, C].

    Returns:
        float32 [B]; 0 for a sequence in which no position counts.
    """
    start, end, transitions = _tables(tables)
    count = emissions.shape[-1]

    def step(carry: Any, inputs: Any) -> Any:
        forward, before, score, started = carry
        emission, tag, counts = ops.split(inputs, [count, 2 * count], axis=-1)
        entered = ops.logsumexp(ops.expand_dims(forward, -1) + transitions, axis=1)
        moved = ops.sum(ops.matmul(before, transitions) * tag, -1, keepdims=True)
        first = ops.sum(start * tag, -1, keepdims=True)
        gain = ops.where(started > 0, moved, first) + ops.sum(emission * tag, -1, keepdims=True)
        forward = ops.where(counts > 0, ops.where(started > 0, entered, start) + emission, forward)
        before = ops.where(counts > 0, tag, before)
        carry = forward, before, score + counts * gain, ops.maximum(started, counts)
        return carry, carry  # Keras's scan requires outputs with the shapes of the carry

    emissions, counts = _by_time(emissions, mask)
    one_hot = ops.transpose(ops.one_hot(tags, count, dtype="float32"), (1, 0, 2))
    zeros, zero = ops.zeros_like(emissions[0]), ops.zeros_like(counts[0])
    # One tensor, since Keras's scan accepts several only if their length is known.
    inputs = ops.concatenate([emissions, one_hot, counts], -1)
    (forward, last, score, started), _ = ops.scan(step, (zeros, zeros, zero, zero), inputs)
    partition = ops.logsumexp(forward + end, axis=-1)
    return started[:, 0] * (score[:, 0] + ops.sum(last * end, -1) - partition)


def viterbi(emissions: Any, mask: Any, tables: Any) -> Any:
    """Returns the most probable tags, int32 [B, S]. Tags are meaningless where `mask` is false.

    The arguments are those of `log_likelihood`.
    """
    start, end, transitions = _tables(tables)
    count = emissions.shape[-1]
    stay = ops.arange(count, dtype="int32")

    def forward_step(carry: Any, inputs: Any) -> Any:
        best, started, _ = carry
        emission, counts = ops.split(inputs, [count], axis=-1)
        scores = ops.expand_dims(best, -1) + transitions
        moves = (counts > 0) & (started > 0)
        pointers = ops.where(moves, ops.cast(ops.argmax(scores, axis=1), "int32"), stay)
        best = ops.where(counts > 0, ops.where(started > 0, ops.max(scores, axis=1), start) + emission, best)
        carry = best, ops.maximum(started, counts), pointers
        return carry, carry

    def backward_step(tag: Any, pointers: Any) -> Any:
        before = ops.take_along_axis(pointers, ops.expand_dims(tag, -1), axis=-1)[:, 0]
        return before, tag

    emissions, counts = _by_time(emissions, mask)
    zeros = ops.zeros_like(emissions[0])
    carry = zeros, ops.zeros_like(counts[0]), ops.cast(zeros, "int32")
    (best, _, _), (_, _, pointers) = ops.scan(forward_step, carry, ops.concatenate([emissions, counts], -1))
    last = ops.cast(ops.argmax(best + end, axis=-1), "int32")
    _, tags = ops.scan(backward_step, last, pointers, reverse=True)
    return ops.transpose(tags, (1, 0))


def _tables(tables: Any) -> tuple[Any, Any, Any]:
    start, end, transitions = (tables[name][0] for name in TABLES)
    return start, end, transitions


def _by_time(emissions: Any, mask: Any) -> tuple[Any, Any]:
    """Returns the emissions as [S, B, C], and 1 for each position that counts, float32 [S, B, 1]."""
    counts = ops.expand_dims(ops.transpose(ops.cast(mask, "float32"), (1, 0)), -1)
    return ops.transpose(emissions, (1, 0, 2)), counts
