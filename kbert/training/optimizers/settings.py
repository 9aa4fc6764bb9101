"""The settings of an optimizer."""

from __future__ import annotations

import dataclasses
import math

from kbert.errors import UsageError
from kbert.options import check_option
from kbert.training.options import TrainingOptions


@dataclasses.dataclass(frozen=True)
class OptimizerSettings:
    """The settings of an optimizer (defaults from google-research/bert, optimization.py).

    Args:
        name: The name of the optimizer: "adamw", "lamb" (arXiv 1904.00962), "muon" or "sgd".
        beta_1: The decay of the moving average of the gradients.
        beta_2: The decay of the moving average of the squared gradients.
        epsilon: The constant that is added to the square root of the averaged squares, after any bias correction.
        weight_decay: The weight decay, which is multiplied by the learning rate. Biases and LayerNorm parameters are
            not decayed.
        bias_correction: Whether the moving averages are corrected for their initial value of 0, as in Adam. The
            original BERT does not correct them.
        clip_norm: The global norm to which larger gradients are scaled down.
        layer_decay: The ratio of a block's learning rate to that of the block above it. The embeddings count as the
            layer below the first block.
        head_rate: The factor by which the learning rate of the pooler and the task's head is multiplied.

    Raises:
        UsageError: There is no optimizer of that name, or a value is invalid.
    """

    name: str = "adamw"
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-6
    weight_decay: float = 0.01
    bias_correction: bool = False
    clip_norm: float = 1.0
    layer_decay: float = 1.0
    head_rate: float = 1.0

    def __post_init__(self) -> None:
        check_option(TrainingOptions, "optimizer", self.name)
        check_option(TrainingOptions, "layer_decay", self.layer_decay)
        check_option(TrainingOptions, "weight_decay", self.weight_decay)
        if not 0 < self.head_rate < math.inf:
            raise UsageError(f"head_rate must be above 0. Received: head_rate={self.head_rate}")

    @classmethod
    def from_options(
        cls, options: TrainingOptions, *, bias_correction: bool, head_rate: float = 1.0
    ) -> OptimizerSettings:
        """Returns the settings of the optimizer that the options of a run request.

        Args:
            options: The options of the run.
            bias_correction: Whether the moving averages are corrected for their initial value of 0.
            head_rate: The factor by which the learning rate of the pooler and the task's head is multiplied.
        """
        return cls(
            options.optimizer,
            weight_decay=options.weight_decay,
            layer_decay=options.layer_decay,
            bias_correction=bias_correction,
            head_rate=head_rate,
        )
