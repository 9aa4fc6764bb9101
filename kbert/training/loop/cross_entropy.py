"""Cross-entropy over many classes, such as the tokens of a vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Computes the cross-entropy and the accuracy of each prediction.

    The cross-entropy -log softmax(logits)[label] is that of `tf.nn.sparse_softmax_cross_entropy_with_logits`, whose
    kernel takes twice as long on a CPU: the logits of a vocabulary are the largest array of a step, and this function
    reads them less often.

    Args:
        labels: The labels, int32 [...].
        logits: The logits, float32 [..., V].

    Returns:
        The cross-entropy, float32 [...], and the accuracy, float32 [...]: 1 if the label is the first class with the
        highest logit, and 0 otherwise.
    """
    rows = tf.reshape(logits, [-1, logits.shape[-1]])
    flat = tf.reshape(labels, [-1])
    # Products of lower precision often have equal logits, of which only the first is the prediction.
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
