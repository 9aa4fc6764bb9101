"""Cross-entropy with label smoothing over many classes, such as the tokens of a vocabulary."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf


def smoothed_cross_entropy(labels: tf.Tensor, logits: tf.Tensor, smoothing: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Computes the cross-entropy with label smoothing (arXiv 1512.00567), and the accuracy, of each prediction.

    The logits of a vocabulary are the largest array of a step. Therefore the backward pass keeps only one array of
    their size, and the smoothed labels are never computed as an array.

    Args:
        labels: The labels, int32 [N].
        logits: The logits, float32 [N, V].
        smoothing: The part of each label that is spread evenly over all classes.

    Returns:
        The cross-entropy, float32 [N], and the accuracy, float32 [N]: 1 if the label has the highest logit, else 0.
    """
    right = tf.cast(tf.argmax(logits, -1, labels.dtype) == labels, tf.float32)

    @tf.custom_gradient
    def function(logits: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        highest = tf.reduce_max(logits, -1, keepdims=True)
        powers = tf.exp(logits - highest)
        sums = tf.reduce_sum(powers, -1)
        chosen = tf.gather(logits, labels, batch_dims=1)
        mean = tf.reduce_mean(logits, -1)
        loss = tf.math.log(sums) + highest[:, 0] - (1 - smoothing) * chosen - smoothing * mean

        def gradient(above: tf.Tensor) -> tf.Tensor:
            size = tf.cast(tf.shape(logits)[-1], tf.float32)
            spread = powers * (above / sums)[:, None] - (smoothing * above / size)[:, None]
            places = tf.stack([tf.range(tf.shape(labels)[0], dtype=labels.dtype), labels], 1)
            return tf.tensor_scatter_nd_sub(spread, places, (1 - smoothing) * above)

        return loss, gradient

    return function(logits), right
