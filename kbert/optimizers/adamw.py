"""AdamW with the rules of the BERT paper, for Keras."""

from __future__ import annotations

from typing import Any

import keras

from kbert.optimizers.optimizer import MomentOptimizer


@keras.saving.register_keras_serializable("kbert")
class AdamW(MomentOptimizer):
    """Adam with the decay beside it (arXiv 1711.05101), as `kbert.finetune` has it.

    Args:
        learning_rate: A number, or a schedule such as `kbert.WarmupSchedule`.
        options: `weight_decay`, 0.01, not of biases and LayerNorm; `layer_decay`, 1.0, of a block's rate against the
            one above; `head_rate`, 1.0, of the rate of the pooler and of heads; `bias_correction`, true; `beta_1`,
            `beta_2`, `epsilon`; `global_clipnorm`, 1.0; and Keras's own.

    Example:
        >>> model = kbert.ClassificationModel.from_preset("tiny", classes=2)
        >>> model.compile(optimizer=kbert.AdamW(2e-5, layer_decay=0.9))

    Raises:
        UsageError: A value is out of range.
    """

    def __init__(self, learning_rate: Any = 3e-5, **options: Any) -> None:
        super().__init__(learning_rate, **options)

    def update(self, variable: Any, path: str, slots: dict[str, Any], gradient: Any, rate: Any, decay: float) -> None:
        """Updates one variable and its slots."""
        self.assign_decayed(variable, rate, decay, self.direction(slots, gradient))
