"""The base class of tasks whose probabilities can be calibrated, and which can abstain from unsure answers.

A temperature is stored in the weights: kernel and bias of the classifier are divided by it. So every program that opens
the model computes calibrated probabilities, without a setting. The task remembers the temperature, from which it
computes what the probabilities were before.
"""

from __future__ import annotations

import copy
import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np
import tensorflow as tf

from kbert.errors import UsageError
from kbert.model_folder.parts import CLASSIFIER_TENSORS
from kbert.tasks.metrics.calibration import expected_calibration_error, reliability
from kbert.tasks.metrics.decisions import Decisions
from kbert.tasks.metrics.selective import answered_scores, risk_coverage, risk_coverage_area
from kbert.tasks.protocol.saved_settings import Kind, number, read_settings
from kbert.tasks.protocol.trainable import TrainableTask

ExampleT = TypeVar("ExampleT")
TaskT = TypeVar("TaskT", bound="CalibratedTask[Any]")  # typing.Self needs Python 3.11

_FIELDS: Mapping[str, Kind] = {"temperature": number, "abstain_below": number}
"""The settings in kbert.json. A model that is not calibrated, or never abstains, does not have them."""


class CalibratedTask(TrainableTask[ExampleT]):
    """A task whose probabilities a temperature calibrates."""

    temperature: float = 1.0
    """The number by which the logits were divided to calibrate the probabilities; 1 if they are as trained."""
    abstain_below: float = 0.0
    """The least probability of an answer that is given; the model abstains below it. 0 gives all answers."""
    can_abstain: ClassVar[bool] = True
    """Whether an answer is a single choice, which the model can abstain from."""
    calibrated_tensors: ClassVar[Sequence[str]] = CLASSIFIER_TENSORS
    """The tensors that are divided by the temperature, by their names in a model folder."""

    @abstractmethod
    def decisions(self, examples: Sequence[ExampleT], answers: Mapping[str, np.ndarray]) -> Decisions:
        """Returns the decisions about examples, given the answers to `evaluation_texts(examples)`."""

    # === Settings ===

    @classmethod
    def from_settings(cls: type[TaskT], settings: Mapping[str, Any]) -> TaskT:
        """Makes the task from the settings in kbert.json; see `AnsweringTask.from_settings`."""
        task = super().from_settings(settings)
        own = read_settings(settings, _FIELDS, newer=_FIELDS)
        temperature, threshold = own.get("temperature", 1.0), own.get("abstain_below", 0.0)
        if not 0 < temperature < math.inf:
            raise ValueError(f"temperature must be above 0. Received: {temperature}")
        if not 0 <= threshold <= 1:
            raise ValueError(f"abstain_below must be from 0 to 1. Received: {threshold}")
        task.temperature, task.abstain_below = temperature, threshold
        return task

    def settings(self) -> dict[str, Any]:
        """Returns the settings for kbert.json."""
        own = {name: getattr(self, name) for name in _FIELDS if getattr(self, name) != getattr(CalibratedTask, name)}
        return super().settings() | own

    def with_temperature(self: TaskT, temperature: float) -> TaskT:
        """Returns the task of a model whose logits were divided by a temperature, after those before.

        Args:
            temperature: The number that the logits of the present model were divided by.
        """
        task = copy.copy(self)
        task.temperature = self.temperature * temperature
        return task

    def with_abstention(self: TaskT, threshold: float) -> TaskT:
        """Returns the task of a model that abstains if the probability of its answer is below a threshold.

        Args:
            threshold: The threshold; 0 for a model that always answers.

        Raises:
            UsageError: An answer of the task is not a single choice.
        """
        if not self.can_abstain:
            raise UsageError(
                f"a model abstains from a choice among classes. Received: a model for {self.name}, which gives any "
                "number of labels; leave the threshold out"
            )
        task = copy.copy(self)
        task.abstain_below = threshold
        return task

    def as_trained(self: TaskT) -> TaskT:
        """Returns the task of a model that is neither calibrated nor abstains, such as a student of this one."""
        task = copy.copy(self)
        task.temperature, task.abstain_below = CalibratedTask.temperature, CalibratedTask.abstain_below
        return task

    # === Answers and metrics ===

    def abstentions(self, probabilities: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns `abstained`, whether the model abstains, bool [B]; nothing for a model that always answers.

        Args:
            probabilities: The probabilities of the choices, float32 [B, C].
        """
        if not self.abstain_below:
            return {}
        return {"abstained": tf.reduce_max(probabilities, -1) < tf.constant(self.abstain_below, tf.float32)}

    def confidence_scores(self, decisions: Decisions) -> dict[str, Any]:
        """Returns the metrics of the probabilities of decisions.

        "calibration_error" is the expected calibration error, and "reliability" its table. For a calibrated model,
        "calibration_error_before" is that of the probabilities as trained. For exclusive classes,
        "risk_coverage" is a table of kbert.tasks.metrics.selective, and "risk_coverage_area" the area below its curve.
        If the model abstains, "coverage" is the part of the examples that it answers, and "answered_accuracy" the
        accuracy of these answers.
        """
        confidence, right = decisions.confidences()
        bins = reliability(confidence, right)
        scores: dict[str, Any] = {"calibration_error": expected_calibration_error(bins)}
        if self.temperature != 1:
            before = reliability(*decisions.confidences(1 / self.temperature))
            scores["calibration_error_before"] = expected_calibration_error(before)
        if decisions.exclusive:
            scores["risk_coverage_area"] = risk_coverage_area(confidence, right)
        if self.abstain_below:
            scores |= answered_scores(confidence, right, self.abstain_below)
        tables: dict[str, Any] = {"reliability": bins}
        if decisions.exclusive:
            tables["risk_coverage"] = risk_coverage(confidence, right)
        return scores | tables


def calibrated_task(task: Any, what: str) -> CalibratedTask[Any]:
    """Returns the task if its probabilities can be calibrated.

    Args:
        task: The task of a model.
        what: What needs such a task, for the message.

    Raises:
        UsageError: The task has no such probabilities.
    """
    if not isinstance(task, CalibratedTask):
        raise UsageError(
            f"{what} is for classification, multilabel classification and multiple choice. Received: a model for "
            f"{task.name}; leave it out"
        )
    return task
