"""The confidence interval of the main metric of an evaluation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kbert.tasks.metrics.bootstrap import LEVEL, bootstrap_interval
from kbert.tasks.metrics.names import LOSS
from kbert.tasks.protocol.trainable import TrainableTask

INTERVAL = "interval"
"""The name of the interval among the metrics."""


def interval_of(
    task: TrainableTask[Any], examples: Sequence[Any], answers: Mapping[str, np.ndarray], metrics: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Returns the confidence interval of the main metric, for the metrics of an evaluation.

    Args:
        task: The fine-tuned task.
        examples: The examples.
        answers: The answers to them.
        metrics: The metrics of these answers.

    Returns:
        "interval": the "metric", the bounds "low" and "high", and the "level"; or nothing if the main metric is the
        loss, if it cannot be computed for these examples, or if the task has no interval.
    """
    name = task.main_metric
    if name == LOSS or name not in metrics or not task.has_interval:
        return {}
    bounds = bootstrap_interval(
        lambda drawn, resampled: task.evaluate(drawn, resampled).get(name, math.nan), examples, answers
    )
    if bounds is None:
        return {}
    low, high = bounds
    return {INTERVAL: {"metric": name, "low": low, "high": high, "level": LEVEL}}
