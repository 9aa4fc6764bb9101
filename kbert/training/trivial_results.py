"""A warning about a model that is no better than one that always gives the same answer."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from kbert.tasks.metrics.names import LOSS
from kbert.tasks.protocol.trainable import TrainableTask
from kbert.training.data.task_examples import TaskExamples

LOGGER = logging.getLogger("kbert")


def warn_of_trivial_result(task: TrainableTask[Any], examples: TaskExamples, metrics: Mapping[str, Any]) -> None:
    """Logs a warning if the main metric is no better than that of a constant answer.

    Args:
        task: The fine-tuned task.
        examples: The training and validation examples.
        metrics: The metrics of the best weights.
    """
    warning = trivial_result(task, examples, metrics)
    if warning is not None:
        LOGGER.warning(warning)


def trivial_result(task: TrainableTask[Any], examples: TaskExamples, metrics: Mapping[str, Any]) -> str | None:
    """Returns the text of the warning, or None if the result is better than that of a constant answer."""
    trivial = task.trivial_metrics(examples.train, examples.validation)
    if trivial is None or task.main_metric == LOSS or task.main_metric not in trivial[1]:
        return None
    words, values = trivial
    reached, without = metrics[task.main_metric], values[task.main_metric]
    if (reached > without) if task.larger_is_better else (reached < without):
        return None
    return (
        f"{task.main_metric} {reached:.4f} on the validation file is no better than {without:.4f}, the result of a "
        f"model that {words}. `kbert finetune --find-learning-rate` suggests a learning rate; more rows, or more "
        "--epochs, may help too"
    )
