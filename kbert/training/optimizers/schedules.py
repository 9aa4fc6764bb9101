"""Learning rates, as functions of the step."""

from __future__ import annotations

import dataclasses
import math

from kbert.errors import UsageError

SCHEDULES = ("linear", "polynomial", "cosine", "constant")


@dataclasses.dataclass(frozen=True)
class Schedule:
    """Linear warm-up from 0, then a decay to 0 (linear: google-research/bert, optimization.py).

    Args:
        peak: The learning rate at the end of the warm-up.
        steps: Steps in all.
        warmup_steps: Steps of the warm-up.
        decay: With t rising from 0 to 1 after the warm-up, the peak times: "linear" 1 - t; "polynomial" (1 - t)^power;
            "cosine" (1 + cos(π t)) / 2; "constant" 1.
        power: Of "polynomial".
    """

    peak: float
    steps: int
    warmup_steps: int
    decay: str = "linear"
    power: float = 2.0

    def __post_init__(self) -> None:
        if not self.peak > 0:
            raise UsageError(f"the learning rate must be above 0. Received: learning_rate={self.peak}")
        if not 0 <= self.warmup_steps <= self.steps:
            raise UsageError(
                f"warmup_steps must be from 0 to steps={self.steps}. Received: warmup_steps={self.warmup_steps}"
            )
        if self.decay not in SCHEDULES:
            raise UsageError(f"schedule must be one of {', '.join(SCHEDULES)}. Received: schedule={self.decay!r}")
        if not self.power > 0:
            raise UsageError(f"the power of a schedule must be above 0. Received: power={self.power}")

    def __call__(self, step: int) -> float:
        """The learning rate of a step, counted from 0. No step has 0, which would waste it."""
        if step < self.warmup_steps:
            return self.peak * (step + 1) / (self.warmup_steps + 1)
        left = (self.steps - step) / max(1, self.steps - self.warmup_steps)
        if self.decay == "linear":
            return self.peak * left
        if self.decay == "polynomial":
            return self.peak * left**self.power
        if self.decay == "cosine":
            return self.peak * (1 - math.cos(math.pi * left)) / 2
        return self.peak
