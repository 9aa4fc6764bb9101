"""Newton-Schulz iteration: the nearest matrix with orthonormal rows or columns, computed with matrix products only."""

from __future__ import annotations

import tensorflow as tf

from kbert.optimizers.muon import COEFFICIENTS, ROUNDS


def orthogonalized(matrix: tf.Tensor) -> tf.Tensor:
    """Returns an approximation of U Vᵀ, where U S Vᵀ is the singular value decomposition of the matrix.

    Args:
        matrix: A matrix or a batch of matrices, float32 [..., M, N]. The result has the same shape.
    """
    tall = matrix.shape[-2] > matrix.shape[-1]
    wide = tf.linalg.matrix_transpose(matrix) if tall else matrix  # XXᵀ is then smaller than XᵀX
    norm = tf.sqrt(tf.reduce_sum(tf.square(wide), axis=(-2, -1), keepdims=True))
    wide = tf.math.divide_no_nan(wide, norm)
    a, b, c = COEFFICIENTS
    for _ in range(ROUNDS):
        square = tf.matmul(wide, wide, transpose_b=True)
        wide = a * wide + tf.matmul(b * square + c * tf.matmul(square, square), wide)
    return tf.linalg.matrix_transpose(wide) if tall else wide
