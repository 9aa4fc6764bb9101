"""The learning-rate range test (arXiv 1506.01186), with exponentially rising learning rates."""

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
"""The factor between the default learning rate and either end of the test."""
_SMOOTHING = 0.9
"""The decay of the exponential mean of the losses. The losses are smoothed because that of a single batch is noisy."""
_DIVERGED = 2.0
"""The test ends when the smoothed loss exceeds its minimum times this factor."""
_FIRST = 10
"""The number of losses that are needed before the exponential mean is reliable."""


@dataclasses.dataclass(frozen=True)
class LearningRateCurve:
    """The result of a learning-rate range test.

    Args:
        learning_rates: The learning rate of each step, in rising order.
        losses: The loss of each step.
        smoothed: The exponential means of the losses, corrected for their initial value of 0.
        steepest: The learning rate at which the smoothed loss falls fastest.
        lowest: The learning rate at which the smoothed loss is lowest.
        suggested: The suggested peak of a learning-rate schedule: a tenth of `lowest`, or `steepest` if that is less.
    """

    learning_rates: list[float]
    losses: list[float]
    smoothed: list[float]
    steepest: float
    lowest: float
    suggested: float


def rising_rates(centre: float, steps: int = STEPS) -> list[float]:
    """Returns learning rates in geometric progression, from a hundredth of `centre` to a hundred times `centre`.

    Args:
        centre: The learning rate in the middle.
        steps: The number of learning rates.

    Example:
        >>> [f"{rate:.0e}" for rate in rising_rates(1e-4, steps=5)]
        ['1e-06', '1e-05', '1e-04', '1e-03', '1e-02']
    """
    lowest, highest = centre / _SPAN, centre * _SPAN
    return [lowest * (highest / lowest) ** (step / (steps - 1)) for step in range(steps)]


def run_range_test(loop: TrainingLoop, source: BatchSource, centre: float) -> LearningRateCurve:
    """Trains one step at each rising learning rate until the loss diverges; the model is unusable afterwards.

    Args:
        loop: The training loop of a model with its starting weights.
        source: The source of batches, of which it needs STEPS.
        centre: The learning rate in the middle, such as the default learning rate.

    Raises:
        TrainingError: The loss falls at none of the learning rates.
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
    """Finds the steepest, the lowest and the suggested learning rate on a curve of losses.

    Args:
        rates: The learning rates, in geometric progression.
        losses: The loss at each learning rate.

    Raises:
        TrainingError: The loss falls at none of the learning rates.
    """
    means = smoothed(losses)
    bottom = min(range(_FIRST, len(means)), key=means.__getitem__, default=0)
    # Differences over two steps are slopes, since the rates are evenly spaced on a logarithmic axis.
    falls = {index: means[index - 1] - means[index + 1] for index in range(_FIRST, bottom)}
    if not falls or max(falls.values()) <= 0:
        raise TrainingError(
            f"the loss falls at none of the learning rates from {rates[0] if rates else math.nan:g} on. Received: "
            f"{len(losses)} losses, the last {losses[-1] if losses else math.nan:g}; give more rows, or larger batches"
        )
    steepest, lowest = rates[max(falls, key=falls.__getitem__)], rates[bottom]
    return LearningRateCurve(list(rates), list(losses), means, steepest, lowest, min(steepest, lowest / 10))


def smoothed(losses: Sequence[float]) -> list[float]:
    """Returns the exponential means of the losses, corrected for their initial value of 0."""
    means, mean = [], 0.0
    for count, loss in enumerate(losses, 1):
        mean = _SMOOTHING * mean + (1 - _SMOOTHING) * loss
        means.append(mean / (1 - _SMOOTHING**count))
    return means


def as_json(curve: LearningRateCurve) -> dict[str, Any]:
    """Returns the curve as JSON, with the suggested learning rate first."""
    values = dataclasses.asdict(curve)
    return {name: values.pop(name) for name in ("suggested", "steepest", "lowest")} | values
