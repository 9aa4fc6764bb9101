"""The confidence interval of the main metric of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kbert.tasks.metrics.bootstrap import LEVEL, bootstrap_interval
from kbert.tasks.metrics.names import LOSS
from kbert.tasks.protocol.trainable import TrainableTask

INTERVAL = "interval"
"""The name of the interval among the metrics."""


def interval_of(
    task: TrainableTask[Any], examples: Sequence[Any], answers: Mapping[str, np.ndarray]
) -> dict[str, dict[str, Any]]:
    """Returns the confidence interval of the main metric, for the metrics of an evaluation.

    Args:
        task: The fine-tuned task.
        examples: The examples.
        answers: The answers to them.

    Returns:
        "interval": the "metric", the bounds "low" and "high", and the "level"; or nothing if the main metric is the
        loss, or if the task has no interval.
    """
    if task.main_metric == LOSS or not task.has_interval:
        return {}
    bounds = bootstrap_interval(
        lambda drawn, resampled: task.evaluate(drawn, resampled)[task.main_metric], examples, answers
    )
    if bounds is None:
        return {}
    low, high = bounds
    return {INTERVAL: {"metric": task.main_metric, "low": low, "high": high, "level": LEVEL}}
