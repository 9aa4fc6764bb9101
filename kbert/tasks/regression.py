"""Regression: a number for a text or for a pair of texts, such as their similarity."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from kbert.errors import DataError
from kbert.files import PathLike
from kbert.model_folder.bundle import Bundle
from kbert.models.encoder import BertEncoder
from kbert.models.regression import RegressionModel
from kbert.tasks.labels import label_names
from kbert.tasks.metrics.correlation import pearson, spearman
from kbert.tasks.metrics.worst_examples import worst_examples
from kbert.tasks.options import RegressionOptions, TaskOptions
from kbert.tasks.protocol.explaining import ExplainableTask
from kbert.tasks.protocol.objective import Tensors
from kbert.tasks.protocol.saved_settings import Kind, flag, number
from kbert.tasks.protocol.soft_outputs import NUMBER, SoftOutput
from kbert.tasks.protocol.training_rows import TrainingRows
from kbert.tasks.readers.numbers import parse_number
from kbert.tasks.text_task import Example, TrainableTextTask
from kbert.text.graph.encoder import GraphEncoder


class RegressionTask(ExplainableTask, TrainableTextTask):
    """A task with one number for each text or pair of texts.

    Args:
        paired: Whether an example is a pair of texts.
        mean: The mean of the training numbers.
        deviation: The standard deviation of the training numbers, above 0. The head predicts standardized numbers,
            which both scale back; in saved weights the scale is folded into the head.

    Raises:
        ValueError: `mean` is not finite, or `deviation` is not a finite number above 0.
    """

    name: ClassVar[str] = "regression"
    architecture = "BertForSequenceClassification"
    pooled_only: ClassVar[bool] = True
    # A correlation would also be high for predictions that are all near the mean.
    main_metric = "mse"
    losses = ("scaled_error",)
    explained_as = "number"
    saved_fields: ClassVar[Mapping[str, Kind]] = {"paired": flag, "mean": number, "deviation": number}

    def __init__(self, paired: bool = False, mean: float = 0.0, deviation: float = 1.0) -> None:
        super().__init__(paired)
        if not math.isfinite(mean) or not 0 < deviation < math.inf:
            raise ValueError("mean must be a finite number, and deviation a finite number above 0")
        self.mean = mean
        self.deviation = deviation

    # === Reading ===

    @classmethod
    def read_target(cls, value: Any, options: RegressionOptions) -> float:
        """Returns the finite number in a cell."""
        try:
            return parse_number(value)
        except ValueError as problem:
            raise ValueError(str(problem).replace("a number", f"a number as {cls.target_column}", 1)) from None

    @classmethod
    def from_examples(
        cls, examples: Sequence[Example], path: PathLike, options: Mapping[str, Any] | TaskOptions | None = None
    ) -> RegressionTask:
        """Makes the task with the mean and the standard deviation of the examples' numbers."""
        numbers = np.array([example.target for example in examples], np.float64)
        deviation = float(numbers.std())
        if not deviation > 0:
            raise DataError(f"expected numbers that differ. Received {examples[0].target!r} alone", path)
        return cls(examples[0].pair is not None, float(numbers.mean()), deviation)

    @classmethod
    def from_foreign(cls, bundle: Bundle, *, paired: bool) -> RegressionTask | None:
        """Returns the task of a Transformers model with a single output; None for other models.

        A single output means regression unless config.json has another problem_type.
        """
        problem = bundle.foreign_config.get("problem_type") or "regression"
        fits = bundle.architecture == cls.architecture and problem == "regression" and len(bundle.labels) == 1
        return cls(paired) if fits else None

    def foreign_config(self) -> dict[str, Any]:
        """Returns the keys of config.json for a head with a single number."""
        return {**label_names(["LABEL_0"]), "problem_type": "regression"}

    def for_private_training(self, validation: Sequence[Example]) -> RegressionTask:
        """Returns the task with the mean and the standard deviation of the validation examples."""
        task: RegressionTask = copy.copy(self)
        numbers = self._numbers(validation)
        task.mean, task.deviation = float(numbers.mean()), float(numbers.std()) or 1.0
        return task

    def training_rows(self, examples: Sequence[Example], encode: GraphEncoder) -> TrainingRows:
        """Returns one row for each example, and the target "labels", float32 [items]."""
        return TrainingRows(*self.tokens(examples, encode), {"labels": self._numbers(examples).astype(np.float32)})

    def _numbers(self, examples: Sequence[Example]) -> np.ndarray:
        return np.array([example.target for example in examples], np.float64)

    def trivial_metrics(self, train: Sequence[Example], validation: Sequence[Example]) -> tuple[str, dict[str, Any]]:
        """Returns the metrics of a model that always gives the mean number of the training examples."""
        mean = float(self._numbers(train).mean())
        values = np.full(len(validation), mean, np.float32)
        return f"always answers {mean:.4g}", self.evaluate(validation, {"value": values})

    # === Model ===

    def build(self, encoder: BertEncoder) -> RegressionModel:
        """Makes the encoder with a head for numbers of this mean and deviation."""
        return RegressionModel(encoder, self.mean, self.deviation)

    def loss_sums(self, outputs: Any, batch: Tensors) -> dict[str, tf.Tensor]:
        """Returns sums over examples of squared errors: standardized ones, which are minimized, and those in "mse"."""
        squared = tf.square(outputs["logits"][:, 0] - batch["labels"])
        return {"scaled_error": tf.reduce_sum(squared) / self.deviation**2, "mse": tf.reduce_sum(squared)}

    def loss_weights(self, batch: Tensors) -> dict[str, tf.Tensor]:
        """Returns the number of examples."""
        examples = tf.cast(tf.size(batch["labels"]), tf.float32)
        return {"scaled_error": examples, "mse": examples}

    @property
    def soft_outputs(self) -> Mapping[str, SoftOutput]:
        """See `TrainableTask.soft_outputs`."""
        return {"logits": SoftOutput(NUMBER, scale=self.deviation)}

    def explained_number(self, outputs: Tensors, target: tf.Tensor) -> tf.Tensor:
        """Returns the number."""
        return outputs["logits"][:, 0]

    # === Answers ===

    def served_answers(self, outputs: Tensors, encoded: Tensors) -> dict[str, tf.Tensor]:
        """Returns the number `value`, float32 [B]."""
        return {"value": outputs["logits"][:, 0]}

    def token_outputs(self, outputs: Tensors, encoded: Tensors) -> dict[str, tf.Tensor]:
        """Returns the number `value`, float32 [B]."""
        return {"value": outputs["logits"][:, 0]}

    def readable_answer(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Returns {"value"}."""
        return {"value": float(row["value"])}

    def text_line(self, prediction: Mapping[str, Any]) -> str:
        """Formats the number and the texts."""
        return "\t".join([f"{prediction['value']:.4f}", *(prediction[text.column] for text in self.text_inputs)])

    def evaluate(self, examples: Sequence[Example], answers: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Returns Pearson's and Spearman's correlation, the mean squared error and the mean absolute error.

        A correlation with constant numbers is 0. "worst_examples" are the examples with the largest errors; each has
        "expected" and "predicted".
        """
        from sklearn import metrics

        expected, predicted = self._numbers(examples), np.asarray(answers["value"], np.float64)
        return {
            "examples": len(expected),
            "pearson": pearson(expected, predicted),
            "spearman": spearman(expected, predicted),
            "mse": float(metrics.mean_squared_error(expected, predicted)),
            "mae": float(metrics.mean_absolute_error(expected, predicted)),
            "worst_examples": worst_examples(
                examples,
                np.abs(expected - predicted),
                lambda index: {"expected": float(expected[index]), "predicted": float(predicted[index])},
            ),
        }
