"""Comparison of a fine-tuned model with one that always gives the same answer."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from kbert.tasks.metrics.names import LOSS
from kbert.tasks.protocol.trainable import TrainableTask
from kbert.training.data.task_examples import TaskExamples

_LOG = logging.getLogger("kbert")
BASELINE = "baseline"
"""The name of the constant answer in kbert.json."""


def baseline_of(task: TrainableTask[Any], examples: TaskExamples) -> dict[str, dict[str, Any]]:
    """Returns the main metric of a constant answer, for kbert.json.

    Args:
        task: The task.
        examples: The training examples, from which the answer follows, and the validation examples.

    Returns:
        "baseline": the "answer", in words that continue "a model that", the "metric" and its "value"; or nothing if the
        task has no constant answer with that metric.
    """
    if task.main_metric == LOSS:  # which no answer has
        return {}
    trivial = task.trivial_metrics(examples.train, examples.validation)
    if trivial is None or task.main_metric not in trivial[1]:
        return {}
    words, values = trivial
    return {BASELINE: {"answer": words, "metric": task.main_metric, "value": values[task.main_metric]}}


def warn_of_trivial_result(
    task: TrainableTask[Any],
    baseline: Mapping[str, Any] | None,
    metrics: Mapping[str, Any],
    *,
    private: bool = False,
) -> None:
    """Logs a warning if the main metric is no better than that of a constant answer.

    Args:
        task: The fine-tuned task.
        baseline: The "baseline" that `baseline_of` returned, if there is one.
        metrics: The metrics of the best weights.
        private: Whether training was private, and the noise may be the reason.
    """
    warning = trivial_result(task, baseline, metrics, private=private)
    if warning is not None:
        _LOG.warning(warning)


def trivial_result(
    task: TrainableTask[Any],
    baseline: Mapping[str, Any] | None,
    metrics: Mapping[str, Any],
    *,
    private: bool = False,
) -> str | None:
    """Returns the text of the warning, or None if the result is better than that of a constant answer."""
    if baseline is None:
        return None
    reached, without = metrics[task.main_metric], baseline["value"]
    if (reached > without) if task.larger_is_better else (reached < without):
        return None
    advice = "`kbert finetune --find-learning-rate` suggests a learning rate; more rows, or more --epochs, may help too"
    if private:
        advice = "more rows, an adapter with few weights, such as bitfit, or a larger epsilon may help"
    return (
        f"{task.main_metric} {reached:.4f} on the validation data is no better than {without:.4f}, the result of a "
        f"model that {baseline['answer']}. {advice}"
    )
