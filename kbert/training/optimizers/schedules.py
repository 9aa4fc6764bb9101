"""Learning-rate schedules, which are functions of the step."""

from __future__ import annotations

import dataclasses
import math

from kbert.errors import UsageError
from kbert.options import check_option
from kbert.training.options import SCHEDULES, PretrainOptions, TrainingOptions

__all__ = ["SCHEDULES", "Schedule"]


@dataclasses.dataclass(frozen=True)
class Schedule:
    """A linear warm-up from 0, followed by a decay (the linear decay is that of google-research/bert, optimization.py).

    Args:
        peak: The learning rate at the end of the warm-up.
        steps: The number of steps of the run.
        warmup_steps: The number of steps of the warm-up.
        decay: The decay, which multiplies the peak by a factor that depends on t, which rises from 0 to 1 after the
            warm-up. The factor is 1 - t for "linear", (1 - t)^power for "polynomial", (1 + cos(π t)) / 2 for "cosine"
            and 1 for "constant".
        power: The exponent of the polynomial decay.

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
        """Returns the schedule that the options of a run request.

        Args:
            options: The options of the run.
            peak: The learning rate at the end of the warm-up.
            steps: The number of steps of the run.
            warmup_steps: The number of steps of the warm-up.
        """
        return cls(peak, steps, warmup_steps, options.schedule, options.power)

    def __call__(self, step: int) -> float:
        """Returns the learning rate of a step, counted from 0; it is never 0, since such a step would do nothing."""
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
