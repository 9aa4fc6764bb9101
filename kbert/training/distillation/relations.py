"""The relations between tokens in attention, which a student of any width can learn (MiniLMv2, arXiv 2012.15828).

Queries, keys and values of one block are split into the same number of parts in both models. In each part, the scaled
dot products of the vectors of all pairs of tokens, with a softmax, are a distribution over the tokens of the text. It
does not depend on the width.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from kbert.layers.attention import MASK_BIAS
from kbert.layers.padding import PaddedRows

QKV = "qkv"
"""The name of the additional output: queries, keys and values of a block, float32 [R, S, 3H]."""


class RelationModel:
    """A model with the queries, keys and values of one of its blocks as an additional output.

    It shares the variables of the model, and takes its place in the training loop.

    Args:
        model: A model with an encoder and heads, as `task.build` returns it.
        layer: The index of the block.
    """

    def __init__(self, model: Any, layer: int) -> None:
        encoder = model.encoder
        below = encoder.blocks[layer - 1] if layer else encoder.embeddings
        projected = encoder.blocks[layer].attention.qkv(below.output)
        if encoder.skip_padding:
            places, tokens, *_ = encoder.get_layer("token_row").output
            projected = PaddedRows(name="padded_qkv")(projected, places, tokens)
        self.model = model
        self.encoder = encoder
        self._tapped = keras.Model(encoder.input, {**encoder.output, QKV: projected})

    def __call__(self, inputs: Mapping[str, Any], training: bool | None = None) -> dict[str, Any]:
        """Returns the outputs of the model and QKV for a dict of features."""
        encoded = self._tapped(self.model.encoder_inputs(inputs), training=training)
        return {**self.model.heads(encoded, inputs, training), QKV: encoded[QKV]}

    @property
    def variables(self) -> Any:
        """The variables of the model."""
        return self.model.variables

    @property
    def trainable_variables(self) -> Any:
        """The variables of the model that are trained."""
        return self.model.trainable_variables


def relation_loss(student: tf.Tensor, teacher: tf.Tensor, mask: tf.Tensor, heads: int) -> tf.Tensor:
    """Returns the divergence of the student's relations from the teacher's, summed over tokens, float32 scalar.

    It is the Kullback-Leibler divergence, averaged over queries, keys and values, and over their parts.

    Args:
        student: Queries, keys and values of the student, float32 [R, S, 3H].
        teacher: Those of the teacher, [R, S, 3H'], in any float dtype.
        mask: 1 for a token and 0 for padding, int32 [R, S].
        heads: The number of parts, which divides H and H'.
    """
    weights = tf.cast(mask, tf.float32)
    bias = (1.0 - weights)[:, None, None, :] * MASK_BIAS
    total = tf.constant(0.0)
    pairs = zip(tf.split(student, 3, axis=-1), tf.split(tf.cast(teacher, tf.float32), 3, axis=-1), strict=True)
    for ours, theirs in pairs:
        log_student = tf.nn.log_softmax(_scores(ours, heads) + bias)
        log_teacher = tf.nn.log_softmax(_scores(theirs, heads) + bias)
        divergence = tf.reduce_sum(tf.exp(log_teacher) * (log_teacher - log_student), -1)  # [R, N, S]
        total += tf.reduce_sum(divergence * weights[:, None, :]) / (3 * heads)
    return total


def _scores(vectors: tf.Tensor, heads: int) -> tf.Tensor:
    """Returns the scaled dot products of all pairs of tokens: float32 [R, S, H] → float32 [R, N, S, S]."""
    size = vectors.shape[-1] // heads
    shape = tf.shape(vectors)
    split = tf.transpose(tf.reshape(vectors, [shape[0], shape[1], heads, size]), [0, 2, 1, 3])
    return tf.matmul(split, split, transpose_b=True) / math.sqrt(size)
