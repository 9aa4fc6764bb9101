"""Learning rates, as functions of the step."""

from __future__ import annotations

import dataclasses

from kbert.errors import UsageError


@dataclasses.dataclass(frozen=True)
class LinearSchedule:
    """Linear warm-up from 0, then linear decay to 0 (google-research/bert, optimization.py).

    Args:
        peak: The learning rate at the end of the warm-up.
        steps: Steps in all.
        warmup_steps: Steps of the warm-up.
    """

    peak: float
    steps: int
    warmup_steps: int

    def __post_init__(self) -> None:
        if not self.peak > 0:
            raise UsageError(f"the learning rate must be above 0. Received: learning_rate={self.peak}")
        if not 0 <= self.warmup_steps <= self.steps:
            raise UsageError(
                f"warmup_steps must be from 0 to steps={self.steps}. Received: warmup_steps={self.warmup_steps}"
            )

    def __call__(self, step: int) -> float:
        """The learning rate of a step, counted from 0. No step has 0, which would waste it."""
        if step < self.warmup_steps:
            return self.peak * (step + 1) / (self.warmup_steps + 1)
        return self.peak * (self.steps - step) / max(1, self.steps - self.warmup_steps)
