"""The loss of each single training row, without dropout."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from kbert.tasks.protocol.objective import Objective, Tensors
from kbert.tasks.protocol.training_rows import TrainingRows
from kbert.training.data.batches import LengthBucketedBatches


def row_losses(
    model: Any,
    objective: Objective,
    rows: TrainingRows,
    *,
    batch_size: int,
    sequence_length: int,
    pad_id: int = 0,
) -> np.ndarray:
    """Returns the loss of each row as if it were a batch of its own, float32 [rows].

    Args:
        model: The Keras model.
        objective: The objective that was minimized in training, whose losses are sums over rows.
        rows: The rows, with targets.
        batch_size: The number of rows that are computed together.
        sequence_length: The longest row in tokens.
        pad_id: The id of [PAD].
    """
    batches = LengthBucketedBatches(
        rows, batch_size=batch_size, steps=1, sequence_length=sequence_length, pad_id=pad_id
    )
    spec = {name: tf.TensorSpec([None, *value.shape[1:]], value.dtype) for name, value in batches.element_spec.items()}

    def compute(batch: Tensors) -> tf.Tensor:
        outputs = model(batch, training=False)

        def loss(index: tf.Tensor) -> tf.Tensor:
            row = {name: values[index : index + 1] for name, values in batch.items()}
            # The tables of a CRF are the same for all rows.
            own = {name: each if each.shape[0] == 1 else each[index : index + 1] for name, each in outputs.items()}
            sums, weights = objective.loss_sums(own, row), objective.loss_weights(row)
            return tf.add_n([sums[name] / tf.maximum(weights[name], 1e-12) for name in objective.losses])

        count = tf.shape(next(iter(batch.values())))[0]
        return tf.map_fn(loss, tf.range(count), fn_output_signature=tf.float32)

    graph = tf.function(compute, input_signature=[spec], autograph=False)
    losses = np.zeros(len(rows), np.float32)
    order = np.argsort(batches.lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        items = order[start : start + batch_size]
        losses[items] = graph(batches.batch(items)).numpy()
    return losses
