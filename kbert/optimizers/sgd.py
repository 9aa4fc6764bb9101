"""Gradient descent as a Keras optimizer."""

from __future__ import annotations

from typing import Any

import keras

from kbert.optimizers.optimizer import BertOptimizer


@keras.saving.register_keras_serializable("kbert")
class SGD(BertOptimizer):
    """Gradient descent without momentum, for comparisons.

    Args:
        learning_rate: The learning rate: a number, or a schedule such as `kbert.WarmupSchedule`.
        options: `weight_decay`, `layer_decay`, `head_rate` and `global_clipnorm` as in `kbert.AdamW`, and the
            options of `keras.optimizers.Optimizer`.

    Example:
        >>> optimizer = kbert.SGD(0.1, weight_decay=0.0)

    Raises:
        UsageError: A value is out of range.
    """

    def __init__(self, learning_rate: Any = 1e-2, **options: Any) -> None:
        super().__init__(learning_rate, **options)

    def update(self, variable: Any, path: str, slots: dict[str, Any], gradient: Any, rate: Any, decay: float) -> None:
        """Updates a variable."""
        self.assign_decayed(variable, rate, decay, gradient)
