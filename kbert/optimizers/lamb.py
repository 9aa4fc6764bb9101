"""LAMB as a Keras optimizer."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kbert.optimizers.optimizer import MomentOptimizer
from kbert.optimizers.variable_rules import NOT_DECAYED


@keras.saving.register_keras_serializable("kbert")
class Lamb(MomentOptimizer):
    """LAMB, which scales Adam's update to the norm of the weights, for very large batches (arXiv 1904.00962).

    The updates of biases and LayerNorm are not scaled.

    Args:
        learning_rate: The learning rate: a number, or a schedule such as `kbert.WarmupSchedule`.
        options: The options of `kbert.AdamW`.

    Example:
        >>> optimizer = kbert.Lamb(kbert.WarmupSchedule(2e-3, steps=1000, warmup_steps=100))

    Raises:
        UsageError: A value is out of range.
    """

    def __init__(self, learning_rate: Any = 1e-3, **options: Any) -> None:
        super().__init__(learning_rate, **options)

    def update(self, variable: Any, path: str, slots: dict[str, Any], gradient: Any, rate: Any, decay: float) -> None:
        """Updates a variable and its state."""
        update = self.direction(slots, gradient)
        value = ops.convert_to_tensor(variable)
        if not path.endswith(NOT_DECAYED):
            update = update + decay * value
            weight_norm, update_norm = ops.norm(ops.reshape(value, (-1,))), ops.norm(ops.reshape(update, (-1,)))
            # The ratio is undefined if the weights or the update are all 0.
            defined = ops.logical_and(weight_norm > 0, update_norm > 0)
            update = update * ops.where(defined, weight_norm / ops.where(defined, update_norm, 1.0), 1.0)
        self.assign(variable, value - rate * update)
