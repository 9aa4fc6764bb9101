"""The rows of a table that a run reads, so that a step does not compute updates for all other rows.

In fine-tuning, the token ids of all training examples are known in advance. The other rows of the token table never
have a gradient, and their moving averages stay 0, so only weight decay changes them: each step multiplies them by a
factor. The product of these factors is applied to them when the weights are used. The token table has most of the
weights of a small model, and a data set for fine-tuning uses a small part of the vocabulary.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf


class UsedRows:
    """A copy of some rows of a table, which is trained instead of the table.

    Args:
        table: The `tf.Variable` [V, H] that the model reads.
        ids: The numbers of the rows that the run reads, in ascending order, [U].
    """

    def __init__(self, table: Any, ids: np.ndarray) -> None:
        self.table = table
        self._ids = ids.astype(np.int32)
        self._places = np.zeros(table.shape[0], np.int32)
        self._places[ids] = np.arange(len(ids), dtype=np.int32)
        self.values = tf.Variable(tf.gather(table, self._ids), trainable=False)
        """The rows, [U, H]."""
        self.pending_decay = tf.Variable([1.0], trainable=False)
        """The factor by which the other rows have to be multiplied, [1]."""

    def gradient(self, slices: tf.IndexedSlices) -> tf.Tensor:
        """Returns the gradient of `values`, float32 [U, H], given that of the table."""
        places = tf.gather(self._places, slices.indices)
        return tf.math.unsorted_segment_sum(slices.values, places, len(self._ids))

    def write(self, decay: tf.Tensor | float) -> None:
        """Writes `values` into the table after an update.

        Args:
            decay: The factor by which this update multiplies the rows without a gradient.
        """
        # Operations on handles, since a replica may not call `assign` of a mirrored variable without an aggregation.
        tf.raw_ops.ResourceScatterUpdate(resource=self.table.handle, indices=self._ids, updates=self.values)
        tf.raw_ops.AssignVariableOp(resource=self.pending_decay.handle, value=self.pending_decay * decay)

    def settle(self) -> None:
        """Applies the pending weight decay to the other rows."""
        used = np.zeros((self.table.shape[0], 1), bool)
        used[self._ids] = True
        self.table.assign(tf.where(used, self.table, self.table * self.pending_decay))
        self.pending_decay.assign([1.0])
