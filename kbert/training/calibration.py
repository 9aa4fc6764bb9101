"""Calibrates a model: divides its logits by a temperature, and chooses when it abstains."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kbert.errors import DataError, shown
from kbert.models.tensor_names import assign_tensors
from kbert.options import option_error
from kbert.prediction.predictor import Predictor
from kbert.tasks.calibrated_task import CalibratedTask, calibrated_task
from kbert.tasks.metrics.decisions import Decisions
from kbert.tasks.metrics.selective import risk_coverage, threshold_of_risk
from kbert.tasks.metrics.temperature import LARGEST, LEAST, fit_temperature, is_at_bound
from kbert.tasks.protocol.answering import AnsweringTask
from kbert.training.options.abstaining import AbstentionOptions

_LOG = logging.getLogger("kbert")
_FEW = 100
"""Fewer examples than this determine a temperature badly."""


@dataclasses.dataclass(frozen=True)
class Calibration:
    """A calibrated model.

    Args:
        task: The task, with the temperature and the threshold.
        tensors: The tensors of the model by name, of which those of the classifier were divided by the temperature.
        metrics: The metrics on the validation examples.
    """

    task: CalibratedTask[Any]
    tensors: dict[str, np.ndarray]
    metrics: dict[str, Any]


def check_calibration(options: AbstentionOptions, task: AnsweringTask[Any], *, calibrate: bool) -> None:
    """Checks that options of calibration and abstention fit a task, before a model is trained.

    Args:
        options: When the model abstains.
        task: The task.
        calibrate: Whether the option `calibrate` is given.

    Raises:
        OptionError: The task has no probabilities to calibrate, or its answers are no single choices.
    """
    if calibrate and not isinstance(task, CalibratedTask):
        raise option_error(
            lambda spell: (
                f"{spell('calibrate')} is for classification, multilabel classification and multiple choice. Received: "
                f"{task.name}; leave it out"
            )
        )
    abstains = isinstance(task, CalibratedTask) and task.can_abstain
    if options.abstain_below is not None and not abstains:
        raise option_error(
            lambda spell: (
                f"{spell('abstain_below')} is for classification and multiple choice. Received: {task.name}; leave it "
                "out"
            )
        )
    if options.target_risk is not None and not abstains:
        raise option_error(
            lambda spell: (
                f"{spell('target_risk')} is for classification and multiple choice. Received: {task.name}; leave it out"
            )
        )


def calibrated(
    predictor: Predictor,
    tensors: Mapping[str, np.ndarray],
    examples: Sequence[Any],
    options: AbstentionOptions,
    *,
    temperature: bool = True,
    batch_size: int = 64,
) -> Calibration:
    """Calibrates a model on labelled examples.

    The weights of the classifier in the Keras model of `predictor` are replaced.

    Args:
        predictor: The model, with the weights `tensors`.
        tensors: The tensors of the model by name.
        examples: The examples, which the model was not trained on.
        options: When the model abstains.
        temperature: Whether the logits are divided by a temperature.
        batch_size: The number of examples that are processed together.

    Raises:
        UsageError: The task has no probabilities to calibrate, or its answers are no single choices.
        DataError: No threshold reaches the risk that the options allow.
    """
    task, tensors = calibrated_task(predictor.task, "calibration"), dict(tensors)
    if options.abstain_below is not None or options.target_risk is not None:
        task.with_abstention(0.5)  # raises before the examples are predicted
    answers = predictor.answers_for_examples(examples, batch_size=batch_size)
    if temperature:
        fitted = _temperature(task.decisions(examples, answers), len(examples))
        task = task.with_temperature(fitted)
        for name in task.calibrated_tensors:
            tensors[name] = (np.asarray(tensors[name], np.float32) / np.float32(fitted)).astype(np.float32)
        bindings = task.bindings(predictor.model)
        assign_tensors({name: bindings[name] for name in task.calibrated_tensors}, tensors)
        predictor = predictor.with_task(task)
        answers = predictor.answers_for_examples(examples, batch_size=batch_size)
    threshold = options.abstain_below
    if options.target_risk is not None:
        threshold = _threshold(task.decisions(examples, answers), options.target_risk)
    if threshold is not None:
        task = task.with_abstention(threshold)
    return Calibration(task, tensors, task.evaluate(examples, answers))


def _temperature(decisions: Decisions, count: int) -> float:
    """Returns the temperature, and warns if the examples do not determine it well."""
    fitted = fit_temperature(decisions)
    if count < _FEW:
        _LOG.warning("calibration: %d examples determine a temperature badly; use %d or more", count, _FEW)
    if is_at_bound(fitted):
        _LOG.warning(
            "calibration: the temperature %.3g is at the bound of the range from %g to %g, so these examples do not "
            "determine it; use more of them, or others",
            fitted,
            LEAST,
            LARGEST,
        )
    return fitted


def _threshold(decisions: Decisions, risk: float) -> float:
    """Returns the least threshold whose answers have at most this risk.

    Raises:
        DataError: No threshold has so few errors.
    """
    confidence, right = decisions.confidences()
    found = threshold_of_risk(confidence, right, risk)
    if found is None:
        least = min(row["risk"] for row in risk_coverage(confidence, right))
        raise DataError(
            f"expected validation examples on which some threshold gives at most the part {risk:g} of wrong answers. "
            f"Received: examples on which the part is {shown(round(least, 4))} or more; allow a larger risk"
        )
    return found
