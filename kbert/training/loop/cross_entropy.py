"""The loss of a choice among very many, such as the words of a vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """-log softmax(logits)[label], and whether the label has the highest logit, the first of equals.

    The same as `tf.nn.sparse_softmax_cross_entropy_with_logits`, whose kernel takes twice as long on a CPU: logits of a
    vocabulary are the largest array of a step, and this goes over them less often.

    Args:
        labels: int32 [...].
        logits: float32 [..., V].

    Returns:
        float32 [...], both; the second is 1 or 0.
    """
    rows = tf.reshape(logits, [-1, logits.shape[-1]])
    flat = tf.reshape(labels, [-1])
    # Products of lower precision have equal logits often: one of them alone is the prediction.
    predicted = tf.argmax(rows, -1, flat.dtype)
    highest = tf.gather(rows, predicted, batch_dims=1)
    chosen = tf.gather(rows, flat, batch_dims=1)
    loss = _loss(rows, flat, highest, chosen)
    right = tf.cast(predicted == flat, tf.float32)
    return tf.reshape(loss, tf.shape(labels)), tf.reshape(right, tf.shape(labels))


def _loss(rows: tf.Tensor, labels: tf.Tensor, highest: tf.Tensor, chosen: tf.Tensor) -> tf.Tensor:
    @tf.custom_gradient
    def function(rows: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], Any]]:
        powers = tf.exp(rows - highest[:, None])
        sums = tf.reduce_sum(powers, -1)

        def gradient(above: tf.Tensor) -> tf.Tensor:
            places = tf.stack([tf.range(tf.shape(labels)[0], dtype=labels.dtype), labels], 1)
            return tf.tensor_scatter_nd_sub(powers * (above / sums)[:, None], places, above)

        return tf.math.log(sums) + highest - chosen, gradient

    loss: tf.Tensor = function(rows)
    return loss
