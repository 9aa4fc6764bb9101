"""Learning rates, as functions of the step."""

from __future__ import annotations

import dataclasses
import math

from kbert.errors import UsageError
from kbert.options import check_option
from kbert.training.options import SCHEDULES, PretrainOptions, TrainingOptions

__all__ = ["SCHEDULES", "Schedule"]


@dataclasses.dataclass(frozen=True)
class Schedule:
    """Linear warm-up from 0, then a decay to 0 (linear: google-research/bert, optimization.py).

    Args:
        peak: The learning rate at the end of the warm-up.
        steps: The number of steps of the run.
        warmup_steps: The number of steps of the warm-up.
        decay: With t rising from 0 to 1 after the warm-up, the peak times: "linear" 1 - t; "polynomial" (1 - t)^power;
            "cosine" (1 + cos(π t)) / 2; "constant" 1.
        power: The power of "polynomial".

    Raises:
        UsageError: A value is invalid.
    """

    peak: float
    steps: int
    warmup_steps: int
    decay: str = "linear"
    power: float = 2.0

    def __post_init__(self) -> None:
        check_option(PretrainOptions, "learning_rate", self.peak)
        if not 0 <= self.warmup_steps <= self.steps:
            raise UsageError(
                f"warmup_steps must be from 0 to steps={self.steps}. Received: warmup_steps={self.warmup_steps}"
            )
        check_option(TrainingOptions, "schedule", self.decay)
        check_option(TrainingOptions, "power", self.power)

    @classmethod
    def from_options(cls, options: TrainingOptions, *, peak: float, steps: int, warmup_steps: int) -> Schedule:
        """The schedule that the options of a run ask for.

        Args:
            options: They say how the learning rate falls.
            peak: The learning rate at the end of the warm-up.
            steps: The number of steps of the run.
            warmup_steps: The number of steps of the warm-up.
        """
        return cls(peak, steps, warmup_steps, options.schedule, options.power)

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
