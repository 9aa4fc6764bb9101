"""Which vectors of a layer belong to which example of a batch.

Dimensions: B examples in a batch, N vectors of a layer, L vectors of the longest example, D the size of a vector.
"""

from __future__ import annotations

import abc

import tensorflow as tf

from kbert.layers.recording import TokenPlaces


class ExampleTokens(abc.ABC):
    """The examples that the N vectors of a layer belong to."""

    @abc.abstractmethod
    def by_example(self, vectors: tf.Tensor) -> tf.Tensor:
        """Maps float32 [N, D] to float32 [B, L, D], with zeros where an example has fewer than L vectors."""

    @abc.abstractmethod
    def scaled(self, vectors: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
        """Returns each vector times the factor of its example: float32 [N, D] and [B] → float32 [N, D]."""


class EqualCounts(ExampleTokens):
    """Examples with equally many vectors, in the order of the batch.

    Args:
        examples: The number of examples, B.
    """

    def __init__(self, examples: int) -> None:
        self._examples = examples

    def by_example(self, vectors: tf.Tensor) -> tf.Tensor:
        """See `ExampleTokens.by_example`."""
        return tf.reshape(vectors, [self._examples, -1, vectors.shape[-1]])

    def scaled(self, vectors: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
        """See `ExampleTokens.scaled`."""
        return tf.reshape(self.by_example(vectors) * factors[:, None, None], tf.shape(vectors))


class JoinedRow(ExampleTokens):
    """Examples whose tokens are joined in one row without padding. An example has one row of the batch or several.

    Args:
        row: The places of the tokens.
        examples: The number of examples, B.
    """

    def __init__(self, row: TokenPlaces, examples: int) -> None:
        self._tokens = tf.reshape(row.tokens, [examples, -1])
        self._owners = row.places // tf.shape(self._tokens)[1]

    def by_example(self, vectors: tf.Tensor) -> tf.Tensor:
        """See `ExampleTokens.by_example`."""
        return tf.gather(tf.concat([vectors, tf.zeros([1, vectors.shape[-1]])], 0), self._tokens)

    def scaled(self, vectors: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
        """See `ExampleTokens.scaled`."""
        return vectors * tf.gather(factors, self._owners)[:, None]
