"""Losses that jump or are no number: found, and stepped around."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Sequence

from kbert.errors import TrainingError
from kbert.options import check_option
from kbert.training.options import PretrainOptions

_WINDOW = 100
"""Steps whose losses a loss is held against."""
_DEVIATIONS = 6.0
"""Where losses go up and down by themselves, as those of small batches do, a jump must stand out from that too."""


class Spike(TrainingError):
    """A loss, or a gradient, that training must not go on from.

    Args:
        step: The step that it was met at, counted from 1.
        what: What is wrong.
        examples: Where the examples of its batch are.
        advice: What a user can do about it, with options that the command has.
    """

    def __init__(self, step: int, what: str, examples: Sequence[str], advice: str) -> None:
        self.step = step
        self.what = what
        where = f"; its examples: {', '.join(examples)}" if examples else ""
        super().__init__(f"{what} at step {step}; {advice}{where}")


@dataclasses.dataclass
class SpikeDetector:
    """Watches the losses of a run.

    Args:
        threshold: How far above the mean of the last 100 steps a loss may be, and six of their standard deviations if
            that is more; None: any that is a number may be.
        recent: Those steps' losses.
    """

    threshold: float | None = None
    recent: list[float] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        check_option(PretrainOptions, "spike_threshold", self.threshold)

    def problem(self, loss: float, gradient_norm: float) -> str | None:
        """What is wrong with a step, if anything; otherwise its loss is remembered."""
        if not math.isfinite(loss):
            return f"the loss is {loss}"
        if not math.isfinite(gradient_norm):
            return f"the gradient's norm is {gradient_norm}"
        if self.threshold is not None and len(self.recent) == _WINDOW:
            mean = statistics.fmean(self.recent)
            if loss > mean + max(self.threshold, _DEVIATIONS * statistics.pstdev(self.recent)):
                return f"the loss is {loss:.4g} where the {_WINDOW} steps before had {mean:.4g}"
        self.recent = [*self.recent[1 - _WINDOW :], loss]
        return None


@dataclasses.dataclass
class Skips:
    """The batches that a run has gone around: step k works on the k-th batch that is left.

    Args:
        ranges: First batch and the one after the last, rising.
    """

    ranges: list[list[int]] = dataclasses.field(default_factory=list)

    def batch(self, step: int) -> int:
        """The number of a step's batch."""
        number = step
        for first, end in self.ranges:
            if first <= number:
                number += end - first
        return number

    def rewound(self, step: int, end: int) -> Skips:
        """These and, from `step` on, all batches before number `end`."""
        return Skips([*self.ranges, [self.batch(step), end]])
