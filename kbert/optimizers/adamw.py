"""AdamW with the settings of the BERT paper, as a Keras optimizer."""

from __future__ import annotations

from typing import Any

import keras

from kbert.optimizers.optimizer import MomentOptimizer


@keras.saving.register_keras_serializable("kbert")
class AdamW(MomentOptimizer):
    """Adam with decoupled weight decay (arXiv 1711.05101), as in `kbert.finetune`.

    Args:
        learning_rate: The learning rate: a number, or a schedule such as `kbert.WarmupSchedule`.
        options: `weight_decay` (default 0.01; biases and LayerNorm have no decay), `layer_decay` (default 1.0; the
            learning rate of a block divided by that of the block above it), `head_rate` (default 1.0; the factor of the
            learning rate of the pooler and the heads), `bias_correction` (default true), `beta_1`, `beta_2`, `epsilon`,
            `global_clipnorm` (default 1.0), and the options of `keras.optimizers.Optimizer`.

    Example:
        >>> model = kbert.ClassificationModel.from_preset("tiny", classes=2)
        >>> model.compile(optimizer=kbert.AdamW(2e-5, layer_decay=0.9))

    Raises:
        UsageError: A value is out of range.
    """

    def __init__(self, learning_rate: Any = 3e-5, **options: Any) -> None:
        super().__init__(learning_rate, **options)

    def update(self, variable: Any, path: str, slots: dict[str, Any], gradient: Any, rate: Any, decay: float) -> None:
        """Updates a variable and its state."""
        self.assign_decayed(variable, rate, decay, self.direction(slots, gradient))
