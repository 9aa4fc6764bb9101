"""The learning-rate schedule of BERT: a linear warm-up, then a decay to 0."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from kbert.errors import UsageError

DECAYS = ("linear", "polynomial", "cosine", "constant")


@keras.saving.register_keras_serializable("kbert")
class WarmupSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A learning-rate schedule: a linear warm-up from 0, then a decay to 0.

    `kbert.finetune` and `kbert.pretrain` use the same schedule.

    Args:
        peak: The learning rate at the end of the warm-up.
        steps: The total number of steps. Later steps have the learning rate of the last of them.
        warmup_steps: The number of steps of the warm-up.
        decay: The shape of the decay. The factor of the peak, while t rises from 0 to 1 after the warm-up, is 1 - t for
            "linear", (1 - t)^power for "polynomial", (1 + cos(π t)) / 2 for "cosine", and 1 for "constant".
        power: The exponent of the decay "polynomial".

    Example:
        >>> schedule = kbert.WarmupSchedule(1e-3, steps=100, warmup_steps=9)
        >>> [round(float(schedule(step)), 6) for step in (0, 9, 99)]
        [0.0001, 0.001, 1.1e-05]

    Raises:
        UsageError: A value is out of range.
    """

    def __init__(
        self, peak: float, steps: int, warmup_steps: int = 0, decay: str = "linear", power: float = 2.0
    ) -> None:
        super().__init__()
        if not peak > 0 or not power > 0:
            raise UsageError(f"peak and power must be above 0. Received: peak={peak}, power={power}")
        if not (steps >= 1 and 0 <= warmup_steps <= steps):
            raise UsageError(
                f"warmup_steps must be from 0 to steps, and steps at least 1. Received: {warmup_steps=}, {steps=}"
            )
        if decay not in DECAYS:
            raise UsageError(f"decay must be one of {', '.join(DECAYS)}. Received: decay={decay!r}")
        self.peak, self.steps, self.warmup_steps = float(peak), int(steps), int(warmup_steps)
        self.decay, self.power = decay, float(power)

    def __call__(self, step: Any) -> Any:
        """Returns the learning rate of a step, float32. Steps count from 0."""
        step = ops.minimum(ops.cast(step, "float32"), self.steps - 1)
        warm = self.peak * (step + 1) / (self.warmup_steps + 1)
        left = (self.steps - step) / max(1, self.steps - self.warmup_steps)
        factors = {
            "linear": left,
            "polynomial": left**self.power,
            "cosine": (1 - ops.cos(math.pi * left)) / 2,
            "constant": ops.ones_like(left),
        }
        return ops.where(step < self.warmup_steps, warm, self.peak * factors[self.decay])

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor as plain data."""
        return {name: getattr(self, name) for name in ("peak", "steps", "warmup_steps", "decay", "power")}
