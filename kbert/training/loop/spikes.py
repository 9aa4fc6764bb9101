"""Loss spikes, which are losses that jump or are not finite: their detection, and the batches that a run skips."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Sequence

from kbert.errors import TrainingError
from kbert.options import check_option
from kbert.training.options import PretrainOptions

_WINDOW = 100
"""The number of previous steps with whose losses a loss is compared."""
_DEVIATIONS = 6.0
"""The number of standard deviations that a jump must exceed as well, since the losses of small batches vary a lot."""


class Spike(TrainingError):
    """The error about a loss that jumps, or a loss or gradient that is not finite.

    Args:
        step: The step at which it occurred, counted from 1.
        what: The description of the problem.
        examples: The names of the examples in the batch.
        advice: The advice for the user, with options of the command.
    """

    def __init__(self, step: int, what: str, examples: Sequence[str], advice: str) -> None:
        self.step = step
        self.what = what
        where = f"; its examples: {', '.join(examples)}" if examples else ""
        super().__init__(f"{what} at step {step}; {advice}{where}")


@dataclasses.dataclass
class SpikeDetector:
    """Detects losses that jump or are not finite.

    Args:
        threshold: The maximum distance of a loss from the mean loss of the last 100 steps, above that mean. Six
            standard deviations of these losses are allowed if they are more. With None, every finite loss is allowed.
        recent: The losses of the last 100 steps.
    """

    threshold: float | None = None
    recent: list[float] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        check_option(PretrainOptions, "spike_threshold", self.threshold)

    def problem(self, loss: float, gradient_norm: float) -> str | None:
        """Returns the description of a problem with a step; if there is none, stores the loss and returns None."""
        if not math.isfinite(loss):
            return f"the loss is {loss}"
        if not math.isfinite(gradient_norm):
            return f"the gradient's norm is {gradient_norm}"
        if self.threshold is not None and len(self.recent) == _WINDOW:
            mean = statistics.fmean(self.recent)
            if loss > mean + max(self.threshold, _DEVIATIONS * statistics.pstdev(self.recent)):
                return f"the loss is {loss:.4g}, and the mean of the {_WINDOW} steps before is {mean:.4g}"
        self.recent = [*self.recent[1 - _WINDOW :], loss]
        return None


@dataclasses.dataclass
class SkippedBatches:
    """The batches that a run skips; step k uses the k-th of the other batches.

    Args:
        ranges: The first batch of each skipped range and the batch after its last, in rising order.
    """

    ranges: list[list[int]] = dataclasses.field(default_factory=list)

    def batch(self, step: int) -> int:
        """Returns the number of the batch that a step uses."""
        number = step
        for first, end in self.ranges:
            if first <= number:
                number += end - first
        return number

    def rewound(self, step: int, end: int) -> SkippedBatches:
        """Returns a copy that also skips the batches from that of `step` up to, but not including, number `end`."""
        return SkippedBatches([*self.ranges, [self.batch(step), end]])
