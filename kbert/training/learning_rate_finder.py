"""Which learning rate to take: the range test (arXiv 1506.01186), with rates that rise exponentially."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kbert.errors import TrainingError
from kbert.training.loop.inputs import BatchSource, Input
from kbert.training.loop.loop import TrainingLoop

STEPS = 100
_SPAN = 100.0
"""The factor between the default learning rate and both ends of the test."""
_SMOOTHING = 0.9
"""Of the mean of losses: a batch's own loss says little."""
_DIVERGED = 2.0
"""The test ends at this times the lowest loss."""
_FIRST = 10
"""Losses before the mean is one."""


@dataclasses.dataclass(frozen=True)
class LearningRateCurve:
    """What a range test saw.

    Args:
        learning_rates: Of each step, rising.
        losses: Of each step.
        smoothed: Their exponential means, corrected for the start at 0.
        steepest: The rate at which the mean falls fastest.
        lowest: The rate at which it is lowest.
        suggested: A tenth of the latter, or `steepest` where that is less: the peak of a schedule.
    """

    learning_rates: list[float]
    losses: list[float]
    smoothed: list[float]
    steepest: float
    lowest: float
    suggested: float


def rising_rates(centre: float, steps: int = STEPS) -> list[float]:
    """Learning rates from a hundredth of `centre` to a hundred times it, in geometric progression.

    Example:
        >>> [f"{rate:.0e}" for rate in rising_rates(1e-4, steps=5)]
        ['1e-06', '1e-05', '1e-04', '1e-03', '1e-02']
    """
    lowest, highest = centre / _SPAN, centre * _SPAN
    return [lowest * (highest / lowest) ** (step / (steps - 1)) for step in range(steps)]


def run_range_test(loop: TrainingLoop, source: BatchSource, centre: float) -> LearningRateCurve:
    """Trains a step at each rate until the loss runs away; the model is of no use afterwards.

    Args:
        loop: Of a model with the weights to start from.
        source: STEPS batches.
        centre: The middle of the rates, such as the default learning rate.

    Raises:
        TrainingError: The loss falls at no rate.
    """
    rates, losses, best = [], [], math.inf
    batches = Input(source, loop.placement, 0, loop.meter)
    try:
        step = loop.step.function(batches.iterator, batches.element_spec)
        for number, rate in enumerate(rising_rates(centre)):
            metrics = step(batches.iterator, tf.constant(number, tf.int64), tf.constant([rate], tf.float32))
            loss = float(metrics["loss"].numpy()[0])
            if not math.isfinite(loss):
                break
            rates.append(rate)
            losses.append(loss)
            mean = smoothed(losses)[-1]
            if number >= _FIRST:
                best = min(best, mean)
            if mean > _DIVERGED * best:
                break
    finally:
        batches.close()
    return read_curve(rates, losses)


def read_curve(rates: Sequence[float], losses: Sequence[float]) -> LearningRateCurve:
    """Finds the rates that matter on a curve.

    Args:
        rates: Rising by the same factor.
        losses: As many.

    Raises:
        TrainingError: The loss falls at no rate.
    """
    means = smoothed(losses)
    bottom = min(range(_FIRST, len(means)), key=means.__getitem__, default=0)
    # Over two steps, since the rates are evenly spaced on a logarithmic axis.
    falls = {index: means[index - 1] - means[index + 1] for index in range(_FIRST, bottom)}
    if not falls or max(falls.values()) <= 0:
        raise TrainingError(
            f"the loss falls at no learning rate from {rates[0] if rates else math.nan:g} on; give more rows, or "
            f"larger batches. Received: {len(losses)} losses, the last {losses[-1] if losses else math.nan:g}"
        )
    steepest, lowest = rates[max(falls, key=falls.__getitem__)], rates[bottom]
    return LearningRateCurve(list(rates), list(losses), means, steepest, lowest, min(steepest, lowest / 10))


def smoothed(losses: Sequence[float]) -> list[float]:
    """Exponential means, corrected for their start at 0."""
    means, mean = [], 0.0
    for count, loss in enumerate(losses, 1):
        mean = _SMOOTHING * mean + (1 - _SMOOTHING) * loss
        means.append(mean / (1 - _SMOOTHING**count))
    return means


def as_json(curve: LearningRateCurve) -> dict[str, Any]:
    """The curve as JSON, the answer first."""
    values = dataclasses.asdict(curve)
    return {name: values.pop(name) for name in ("suggested", "steepest", "lowest")} | values
