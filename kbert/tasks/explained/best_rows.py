"""The best of the rows of each text, such as its windows or its words, as operations of a graph."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

LOWEST = float(np.finfo(np.float32).min)
"""The value of a row that is never the best one."""


def best_rows(values: tf.Tensor, texts: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Returns the index of the row with the largest value of each text, int32 [B]; of equal ones, the first.

    The index is N for a text without a row whose value is above `LOWEST`.

    Args:
        values: The values of the rows of all texts, float32 [N].
        texts: The index of the text of each row, in ascending order, int [N].
        count: The number of texts, B.
    """
    by_text = tf.RaggedTensor.from_value_rowids(values, tf.cast(texts, tf.int64), tf.cast(count, tf.int64))
    dense = tf.pad(by_text.to_tensor(LOWEST), [[0, 0], [0, 1]], constant_values=LOWEST)
    found = tf.cast(by_text.row_starts(), tf.int32) + tf.argmax(dense, -1, tf.int32)
    return tf.where(tf.reduce_max(dense, -1) > LOWEST, found, tf.size(values))
