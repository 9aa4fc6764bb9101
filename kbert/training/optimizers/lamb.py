"""LAMB, for very large batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kbert.training.optimizers.optimizer import Optimizer, TrainedVariable


class Lamb(Optimizer):
    """LAMB: Adam's updates, scaled to the norm of the weights, for very large batches (arXiv 1904.00962).

    The updates of biases and LayerNorm parameters are not scaled.
    """

    def _slot_names(self, path: str) -> Sequence[str]:
        return ("mean", "square")

    def _update(self, trained: TrainedVariable, gradient: Any, rate: Any, step: Any) -> None:
        settings, variable = self.settings, trained.variable
        mean, square = trained.slots["mean"], trained.slots["square"]
        first = mean.assign(settings.beta_1 * mean + (1 - settings.beta_1) * gradient)
        second = square.assign(settings.beta_2 * square + (1 - settings.beta_2) * tf.square(gradient))
        if settings.bias_correction:
            power = tf.cast(step + 1, tf.float32)
            first = first / (1 - tf.pow(settings.beta_1, power))
            second = second / (1 - tf.pow(settings.beta_2, power))
        update = first / (tf.sqrt(second) + settings.epsilon)
        if trained.is_kernel:
            update += trained.decay * variable
            weight_norm, update_norm = tf.norm(variable), tf.norm(update)
            # There is no ratio of norms if the weights or the update are all 0; the update is then not scaled.
            defined = (weight_norm > 0) & (update_norm > 0)
            update *= tf.where(defined, weight_norm / tf.where(defined, update_norm, 1.0), 1.0)
        variable.assign_sub(rate * update)
