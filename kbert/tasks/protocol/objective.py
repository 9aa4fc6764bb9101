"""The protocol of training objectives: losses as sums over examples, which add up over batches and replicas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import tensorflow as tf

Tensors = Mapping[str, tf.Tensor]


class Objective(Protocol):
    """Losses and metrics as sums, and the weights that the sums are divided by.

    A batch may be split over replicas and micro-batches. Its loss is the sum of `loss_sums` of all parts, divided by
    the sum of `loss_weights` of all parts, so the split does not change the loss.
    """

    @property
    def losses(self) -> tuple[str, ...]:
        """The names of the losses whose sum is minimized; the other names are metrics."""

    def loss_sums(self, outputs: Any, batch: Tensors) -> dict[str, tf.Tensor]:
        """Returns the sum of each loss and metric over the examples of a batch, float32 scalars.

        Args:
            outputs: The outputs of the model.
            batch: The features and targets of the batch.
        """

    def loss_weights(self, batch: Tensors) -> dict[str, tf.Tensor]:
        """Returns the weights that the sums are divided by, float32 scalars; they depend on the batch alone."""
