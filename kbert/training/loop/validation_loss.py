"""The loss of a model on the validation file during training."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from kbert.tasks.protocol.objective import Objective
from kbert.tasks.protocol.training_rows import TrainingRows
from kbert.training.data.batches import LengthBucketedBatches

_ROWS_AN_ITEM = 16
"""The maximum number of rows in a batch for each of its items, such as the candidates of a query. The items of a
validation file may have many more rows than those of the training file, whose batches are known to fit into memory."""


class ValidationLoss:
    """The mean loss over all validation rows, without dropout.

    Metrics such as accuracy are often equal for two evaluations; the loss then decides which weights are better. The
    loss is computed as in training, from the rows that the task would train on.

    Args:
        model: The Keras model.
        objective: The objective that is minimized in training.
        rows: The rows of the validation file, with targets.
        batch_size: The number of rows in a batch. It matters only if the loss compares the rows of a batch.
        sequence_length: The longest row in tokens.
        pad_id: The id of [PAD].
    """

    def __init__(
        self,
        model: Any,
        objective: Objective,
        rows: TrainingRows,
        *,
        batch_size: int,
        sequence_length: int,
        pad_id: int = 0,
    ) -> None:
        self._model = model
        self._objective = objective
        self._batches = LengthBucketedBatches(
            rows, batch_size=batch_size, steps=1, sequence_length=sequence_length, pad_id=pad_id
        )
        # Rows of similar length share a batch, as in training; the batches are always the same.
        order = np.argsort(self._batches.lengths, kind="stable")
        sizes = None if getattr(objective, "needs_whole_batch", False) else rows.group_sizes
        self._parts = [
            part
            for start in range(0, len(order), batch_size)
            for part in _small_enough(order[start : start + batch_size], sizes, _ROWS_AN_ITEM * batch_size)
        ]
        spec = {
            name: tf.TensorSpec([None, *value.shape[1:]], value.dtype)
            for name, value in self._batches.element_spec.items()
        }
        self._sums = tf.function(self._batch_sums, input_signature=[spec], autograph=False)

    def __call__(self) -> float:
        """Returns the loss with the current weights of the model."""
        loss_sums: dict[str, float] = dict.fromkeys(self._objective.losses, 0.0)
        loss_weights = dict(loss_sums)
        for items in self._parts:
            above, below = self._sums(self._batches.batch(items))
            for name in self._objective.losses:
                loss_sums[name] += float(above[name])
                loss_weights[name] += float(below[name])
        return sum(loss_sums[name] / max(loss_weights[name], 1e-12) for name in self._objective.losses)

    def _batch_sums(self, batch: dict[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        loss_sums = self._objective.loss_sums(self._model(batch, training=False), batch)
        return loss_sums, self._objective.loss_weights(batch)


def _small_enough(items: np.ndarray, sizes: np.ndarray | None, most: int) -> list[np.ndarray]:
    """Splits the items of a batch into parts with at most `most` rows each, padding rows included.

    A single item with more rows is a part of its own.

    Args:
        items: The numbers of the items.
        sizes: The number of rows of each item of the file; None if each has one row, or if a batch must not be split.
        most: The maximum number of rows.
    """
    if sizes is None:
        return [items]
    parts: list[list[int]] = []
    largest = 0
    for item in items.tolist():
        largest = max(largest, int(sizes[item]))
        if not parts or largest * (len(parts[-1]) + 1) > most:
            parts.append([])
            largest = int(sizes[item])
        parts[-1].append(item)
    return [np.array(part) for part in parts]
