"""Classification of a text, or of a pair of texts, into one of several classes."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from kbert.errors import DataError, UsageError
from kbert.files import PathLike
from kbert.model_folder.bundle import Bundle
from kbert.models.classification import ClassificationModel
from kbert.models.encoder import BertEncoder
from kbert.tasks.calibrated_task import CalibratedTask
from kbert.tasks.class_weights import BALANCED, balanced_weights, parse_class_weights
from kbert.tasks.labels import (
    canonical_label,
    check_label,
    label_ids,
    label_names,
    sorted_labels,
    warn_of_similar_labels,
)
from kbert.tasks.metrics.class_scores import scores_by_class
from kbert.tasks.metrics.decisions import Decisions
from kbert.tasks.metrics.worst_examples import worst_examples
from kbert.tasks.options import ClassificationOptions, TaskOptions
from kbert.tasks.protocol.explaining import ExplainableTask, log_odds
from kbert.tasks.protocol.objective import Tensors
from kbert.tasks.protocol.saved_settings import Kind, flag, named_numbers, names, number
from kbert.tasks.protocol.training_rows import TrainingRows
from kbert.tasks.text_task import Example, TrainableTextTask
from kbert.text.graph.encoder import GraphEncoder


class ClassificationTask(CalibratedTask[Example], ExplainableTask, TrainableTextTask):
    """A task with one label for each text or pair of texts.

    Args:
        labels: The classes, in the order of the logits.
        paired: Whether an example is a pair of texts.
        class_weights: The weight of each class in the loss; 1 for classes that are not named.
        label_smoothing: The part of each target that is spread evenly over all classes in the loss (arXiv 1512.00567).

    Raises:
        ValueError: There are fewer than two labels, or two labels are equal.
        UsageError: `label_smoothing` is not in [0, 1).
    """

    name: ClassVar[str] = "classification"
    architecture = "BertForSequenceClassification"
    pooled_only: ClassVar[bool] = True
    main_metric = "accuracy"
    losses = ("cross_entropy",)
    explained_as = "log odds of the label"
    saved_fields: ClassVar[Mapping[str, Kind]] = {
        "labels": names,
        "paired": flag,
        "class_weights": named_numbers,
        "label_smoothing": number,
    }
    optional_fields = ("class_weights", "label_smoothing")

    def __init__(
        self,
        labels: Sequence[str],
        paired: bool = False,
        class_weights: Mapping[str, float] | None = None,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(paired)
        if len(labels) < 2:
            raise ValueError(f"labels must be two or more. Received: {len(labels)}")
        if not 0 <= label_smoothing < 1:
            raise UsageError(f"label_smoothing must be in [0, 1). Received: label_smoothing={label_smoothing}")
        self.labels = list(labels)
        self.class_weights = dict(class_weights or {})
        self.label_smoothing = label_smoothing
        self._ids = label_ids(self.labels)
        self._spelled = {canonical_label(label): label for label in reversed(self.labels)}

    # === Reading ===

    @classmethod
    def read_target(cls, value: Any, options: ClassificationOptions) -> str:
        """Returns the label in a cell. Equal numbers are the same label; a missing value raises ValueError."""
        label: str = super().read_target(value, options)
        check_label(label, options.missing_labels)
        return canonical_label(label)

    @classmethod
    def from_examples(
        cls, examples: Sequence[Example], path: PathLike, options: Mapping[str, Any] | TaskOptions | None = None
    ) -> ClassificationTask:
        """Makes the task with all labels of the examples, sorted as numbers if all are numbers, else as text."""
        labels = {example.target or "" for example in examples}
        if "" in labels:
            line = next(example.line for example in examples if not example.target)
            raise DataError("expected a label. Received an empty one", path, line)
        if len(labels) < 2:
            raise DataError(f"expected at least two labels. Received {labels.pop()!r} alone", path)
        warn_of_similar_labels(sorted_labels(labels), path)
        chosen: ClassificationOptions = cls.info().choose_options(options)
        return cls(
            sorted_labels(labels),
            examples[0].pair is not None,
            _chosen_weights(chosen.class_weights, examples, sorted_labels(labels)),
            chosen.label_smoothing,
        )

    @classmethod
    def from_foreign(cls, bundle: Bundle, *, paired: bool) -> ClassificationTask | None:
        """Returns the task of a Transformers classifier with one label for each text; None for other models."""
        problem = bundle.foreign_config.get("problem_type") or "single_label_classification"
        fits = bundle.architecture == cls.architecture and problem == "single_label_classification"
        return cls(bundle.labels, paired) if fits and len(bundle.labels) > 1 else None

    def foreign_config(self) -> dict[str, Any]:
        """Returns the keys of config.json for the names of the classes."""
        return {**label_names(self.labels), "problem_type": "single_label_classification"}

    def check_example(self, example: Example) -> Example:
        """Returns the example with its label as it was spelled in training; raises ValueError for unknown labels."""
        if example.target in self._ids:
            return example
        label = self._spelled.get(canonical_label(str(example.target)))
        if label is None:
            labels = ", ".join(self.labels)
            raise ValueError(f"expected one of the labels seen in training ({labels}). Received {example.target!r}")
        return dataclasses.replace(example, target=label)

    def training_rows(self, examples: Sequence[Example], encode: GraphEncoder) -> TrainingRows:
        """Returns one row for each example, and the target "labels", int32 [items]."""
        return TrainingRows(*self.tokens(examples, encode), {"labels": self.label_ids(examples)})

    def trivial_metrics(self, train: Sequence[Example], validation: Sequence[Example]) -> tuple[str, dict[str, Any]]:
        """Returns the metrics of a model that always gives the most frequent label of the training examples."""
        counts = np.bincount(self.label_ids(train), minlength=len(self.labels))
        probabilities = np.tile((counts / counts.sum()).astype(np.float32), (len(validation), 1))
        words = f"always answers {self.labels[counts.argmax()]!r}"
        return words, self.evaluate(validation, {"probabilities": probabilities})

    def label_ids(self, examples: Sequence[Any]) -> np.ndarray:
        """Returns the indices of the labels that are the targets of examples, int32 [N]."""
        return np.array([self._ids[example.target or ""] for example in examples], np.int32)

    # === Model ===

    def build(self, encoder: BertEncoder) -> ClassificationModel:
        """Makes the encoder with a classification head for these labels."""
        return ClassificationModel(encoder, len(self.labels))

    @property
    def head_row_names(self) -> Sequence[str]:
        """The labels, in the order of the logits."""
        return self.labels

    def loss_sums(self, outputs: Any, batch: Tensors) -> dict[str, tf.Tensor]:
        """Returns sums over examples. Class weights and label smoothing are those of PyTorch's CrossEntropyLoss."""
        labels, logits = batch["labels"], outputs["logits"]
        nll = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits) * self._weights_of(labels)
        if self.label_smoothing:
            of_all = tf.reduce_mean(tf.nn.log_softmax(logits) * self._weights, -1)
            nll = (1 - self.label_smoothing) * nll - self.label_smoothing * of_all
        right = tf.cast(tf.argmax(logits, -1, tf.int32) == labels, tf.float32)
        return {"cross_entropy": tf.reduce_sum(nll), "accuracy": tf.reduce_sum(right)}

    def loss_weights(self, batch: Tensors) -> dict[str, tf.Tensor]:
        """Returns the sum of the examples' class weights, and the number of examples."""
        labels = batch["labels"]
        return {
            "cross_entropy": tf.reduce_sum(self._weights_of(labels)),
            "accuracy": tf.cast(tf.size(labels), tf.float32),
        }

    @property
    def _weights(self) -> np.ndarray:
        return np.array([self.class_weights.get(label, 1.0) for label in self.labels], np.float32)

    def _weights_of(self, labels: tf.Tensor) -> tf.Tensor:
        return tf.gather(tf.constant(self._weights), labels)

    def explained_number(self, outputs: Tensors, target: tf.Tensor) -> tf.Tensor:
        """Returns the log odds of a label."""
        return log_odds(outputs["logits"], target)

    # === Answers ===

    def served_answers(self, outputs: Tensors, encoded: Tensors) -> dict[str, tf.Tensor]:
        """Returns the likeliest label and the probabilities of all labels.

        `label` is string [B]; `classes`, all labels, string [B, C]; `probabilities`, in the order of `classes`,
        float32 [B, C]; and if the model abstains from some answers, `abstained`, bool [B].
        """
        probabilities = tf.nn.softmax(outputs["logits"])
        labels = tf.constant(self.labels)
        return {
            "label": tf.gather(labels, tf.argmax(probabilities, -1)),
            "classes": tf.repeat(labels[None], tf.shape(probabilities)[0], axis=0),
            "probabilities": probabilities,
            **self.abstentions(probabilities),
        }

    def token_outputs(self, outputs: Tensors, encoded: Tensors) -> dict[str, tf.Tensor]:
        """Returns the `probabilities` of the labels, float32 [B, C]."""
        return {"probabilities": tf.nn.softmax(outputs["logits"])}

    def readable_answer(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Returns {"label", "probabilities": {label: p}}, and "abstained" if the model abstains from some answers."""
        probabilities = row["probabilities"].tolist()
        return {
            "label": row["label"].decode("utf-8"),
            "probabilities": dict(zip(self.labels, probabilities, strict=True)),
            **({"abstained": bool(row["abstained"])} if "abstained" in row else {}),
        }

    def text_line(self, prediction: Mapping[str, Any]) -> str:
        """Formats the label, which is "-" if the model abstains, its probability and the texts."""
        label = prediction["label"]
        texts = [prediction[text.column] for text in self.text_inputs]
        said = "-" if prediction.get("abstained") else label
        return "\t".join([said, f"{prediction['probabilities'][label]:.4f}", *texts])

    def decisions(self, examples: Sequence[Example], answers: Mapping[str, np.ndarray]) -> Decisions:
        """Returns the decisions among the labels."""
        return Decisions(answers["probabilities"], self.label_ids(examples))

    def evaluate(self, examples: Sequence[Example], answers: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Returns the metrics of classification.

        These are the accuracy, macro-averaged F1, Matthews' correlation coefficient, cross entropy, the metrics of
        `confidence_scores`, the scores of each class, and the confusion matrix (rows true, columns predicted).
        "worst_examples" are the examples with the most confident wrong answers: each has the labels "expected" and
        "predicted", with their probabilities.
        """
        from sklearn import metrics

        labels, probabilities = self.label_ids(examples), answers["probabilities"]
        predicted = probabilities.argmax(-1)
        classes = range(len(self.labels))
        precision, recall, f1, support = metrics.precision_recall_fscore_support(
            labels, predicted, labels=classes, zero_division=0.0
        )
        rows = np.arange(len(labels))
        true_probability = np.maximum(probabilities[rows, labels], 1e-30)
        present = support > 0
        confidence, right = probabilities[rows, predicted], predicted == labels

        def describe(index: int) -> dict[str, Any]:
            return {
                "expected": self.labels[labels[index]],
                "expected_probability": float(probabilities[index, labels[index]]),
                "predicted": self.labels[predicted[index]],
                "predicted_probability": float(confidence[index]),
            }

        return {
            "examples": len(labels),
            "accuracy": float(right.mean()),
            "f1": float(f1[present | (np.bincount(predicted, minlength=len(f1)) > 0)].mean()),
            "mcc": _matthews(labels, predicted),
            "cross_entropy": float(-np.log(true_probability).mean()),
            **self.confidence_scores(self.decisions(examples, answers)),
            "per_class": scores_by_class(self.labels, precision, recall, f1, support),
            "labels": self.labels,
            "confusion_matrix": metrics.confusion_matrix(labels, predicted, labels=classes).tolist(),
            "worst_examples": worst_examples(examples, np.where(right, 0.0, confidence), describe),
        }


def _chosen_weights(text: str | None, examples: Sequence[Example], labels: Sequence[str]) -> dict[str, float]:
    if not text:
        return {}
    if text == BALANCED:
        counts = Counter(example.target for example in examples)
        return balanced_weights({label: counts[label] for label in labels})
    return parse_class_weights(text, labels)


def _matthews(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Returns Matthews' correlation coefficient; 0 if all true or all predicted labels are the same."""
    from sklearn.metrics import matthews_corrcoef

    if len(np.unique(labels)) < 2 or len(np.unique(predicted)) < 2:
        return 0.0
    return float(matthews_corrcoef(labels, predicted))
