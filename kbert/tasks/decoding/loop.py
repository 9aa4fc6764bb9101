"""The loop that decodes answers token by token, with a cache of keys and values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import tensorflow as tf


class Answers(NamedTuple):
    """The A best answers to each of B sources, best first."""

    ids: tf.Tensor
    """The tokens without the end, int32 [B, A, T], with 0 in unused places."""
    lengths: tf.Tensor
    """The number of tokens without the end, int32 [B, A]."""
    scores: tf.Tensor
    """The log probability divided by the length penalty, float32 [B, A]."""


class Strategy(Protocol):
    """How K answers to each source grow. The state is a NamedTuple of tensors whose first dimension is B."""

    width: int
    """The number of answers that grow side by side, K."""

    def first(self, hidden: tf.Tensor) -> Any:
        """Returns the state with the first tokens, given the vectors of the last source tokens, float32 [B, 1, H]."""

    def next(self, hidden: tf.Tensor, state: Any, count: tf.Tensor) -> Any:
        """Returns the state with one more token, given the vectors of the last tokens, float32 [B, K, H].

        `count`, an int32 scalar, is the number of tokens so far.
        """

    def last_tokens(self, state: Any, count: tf.Tensor) -> tf.Tensor:
        """Returns the ids of the last tokens, int32 [B, K]."""

    def bias(self, state: Any, count: tf.Tensor) -> tf.Tensor:
        """Returns the bias of the scores of the last tokens to all tokens of all K answers.

        It broadcasts to float32 [B, N, K, count · K]. The tokens are in the order of their places, and those of the
        same place in the order in which the answers then were.
        """

    def unfinished(self, state: Any, count: tf.Tensor) -> tf.Tensor:
        """Returns whether an answer to any source can still change, a bool scalar."""

    def answers(self, state: Any, count: tf.Tensor) -> Answers:
        """Returns the answers."""


def decode(model: Any, features: Mapping[str, tf.Tensor], strategy: Strategy, longest: int) -> Answers:
    """Returns the answers to sources.

    The source is computed once; each further token is computed alone, with the keys and values of all tokens before it.

    Args:
        model: A `PrefixLanguageModel`.
        features: The features of the sources, int32 [B, S] each.
        strategy: How the tokens are chosen.
        longest: The largest number of tokens of an answer, without its end.
    """
    hidden, source = model.read_source(features)
    config = model.encoder.config
    batch = tf.shape(hidden)[0]
    dtype = source.keys[0].dtype
    shape = [batch, config.num_attention_heads, config.head_size, 0]
    keys = tuple(tf.zeros(shape, dtype) for _ in source.keys)
    values = tuple(tf.zeros([shape[0], shape[1], shape[3], shape[2]], dtype) for _ in source.keys)
    state = strategy.first(hidden)

    def unfinished(count: tf.Tensor, state: Any, *_: Any) -> tf.Tensor:
        # One more token than the longest answer has: its end.
        return tf.logical_and(count < longest + 1, strategy.unfinished(state, count))

    def grow(count: tf.Tensor, state: Any, keys: Any, values: Any) -> tuple[Any, ...]:
        ids = strategy.last_tokens(state, count)
        hidden, keys, values = model.step(ids, count - 1, source, keys, values, strategy.bias(state, count))
        return count + 1, strategy.next(hidden, state, count), keys, values

    heads, head_size = config.num_attention_heads, config.head_size
    count, state, _, _ = tf.while_loop(
        unfinished,
        grow,
        (tf.constant(1), state, keys, values),
        shape_invariants=(
            tf.TensorShape([]),
            tf.nest.map_structure(lambda tensor: tf.TensorShape([None, *tensor.shape[1:]]), state),
            tuple(tf.TensorShape([None, heads, head_size, None]) for _ in keys),
            tuple(tf.TensorShape([None, heads, None, head_size]) for _ in values),
        ),
        parallel_iterations=1,
    )
    return strategy.answers(state, count)


def penalty(lengths: tf.Tensor, exponent: float) -> tf.Tensor:
    """Returns the length penalty ((5 + n) / 6)^α (arXiv 1609.08144), float32 of the shape of the lengths."""
    return ((5.0 + tf.cast(lengths, tf.float32)) / 6.0) ** exponent


def without_ends(ids: tf.Tensor, lengths: tf.Tensor, scores: tf.Tensor, end_id: int, count: tf.Tensor) -> Answers:
    """Returns answers without their ends.

    Args:
        ids: The tokens with the ends, int32 [B, A, T].
        lengths: Their number, int32 [B, A].
        scores: The scores, float32 [B, A].
        end_id: The id of the end.
        count: The number of tokens of the longest answer, by which `ids` are cut.
    """
    ids = ids[..., :count]
    inside = tf.sequence_mask(lengths, count)
    inside &= ids != end_id
    kept = tf.reduce_sum(tf.cast(inside, tf.int32), -1)
    return Answers(tf.where(inside, ids, 0), kept, scores)
