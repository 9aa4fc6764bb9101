"""Multilabel classification: any number of labels for a text, or for a pair of texts."""

from __future__ import annotations

import copy
import dataclasses
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from kbert.errors import DataError, UsageError
from kbert.files import PathLike
from kbert.model_folder.bundle import Bundle
from kbert.models.classification import ClassificationModel
from kbert.models.encoder import BertEncoder
from kbert.sources.bad_rows import BadRows
from kbert.tasks.calibrated_task import CalibratedTask
from kbert.tasks.class_weights import BALANCED, parse_class_weights
from kbert.tasks.labels import (
    canonical_label,
    check_label,
    label_ids,
    label_names,
    sorted_labels,
    warn_of_similar_labels,
)
from kbert.tasks.metrics.class_scores import scores_by_class
from kbert.tasks.metrics.decisions import Decisions, logits_of, probabilities_of
from kbert.tasks.metrics.thresholds import DEFAULT_THRESHOLD, best_threshold
from kbert.tasks.metrics.worst_examples import worst_examples
from kbert.tasks.options import MultilabelOptions, TaskOptions
from kbert.tasks.protocol.explaining import ExplainableTask
from kbert.tasks.protocol.objective import Tensors
from kbert.tasks.protocol.saved_settings import Kind, flag, named_numbers, names, numbers
from kbert.tasks.protocol.soft_outputs import LABELS, SoftOutput
from kbert.tasks.protocol.trainable import TrainableTask
from kbert.tasks.protocol.training_rows import TrainingRows
from kbert.tasks.readers.label_lists import (
    LabelVector,
    is_yes,
    names_of_columns,
    parse_list,
    unsplit_labels,
    vector_size,
)
from kbert.tasks.text_task import Example, TrainableTextTask
from kbert.text.graph.encoder import GraphEncoder

_LOG = logging.getLogger("kbert")
_SEPARATOR = "|"
_BARE_VECTOR = re.compile(r"[01](\.0?)?([,; ]\s*[01](\.0?)?)+")
_BETWEEN = re.compile(r"[,; ]\s*")


class MultilabelTask(CalibratedTask[Example], ExplainableTask, TrainableTextTask):
    """A task with any number of labels for each text or pair of texts; there may be none.

    Args:
        labels: The labels, in the order of the logits.
        paired: Whether an example is a pair of texts.
        thresholds: The threshold of each label: a label is given if its probability is at least this. The default is
            0.5.
        class_weights: For each label, the weight in its loss of the examples that have it; 1 for labels that are not
            named.

    Raises:
        ValueError: There are no labels, or not as many thresholds as labels, or two labels are equal.
    """

    name: ClassVar[str] = "multilabel"
    architecture = "BertForSequenceClassification"
    pooled_only: ClassVar[bool] = True
    main_metric = "f1_micro"
    losses = ("cross_entropy",)
    target_lists = True
    can_abstain = False
    explained_as = "logit of the label"
    saved_fields: ClassVar[Mapping[str, Kind]] = {
        "labels": names,
        "thresholds": numbers,
        "paired": flag,
        "class_weights": named_numbers,
    }
    optional_fields = ("class_weights",)

    def __init__(
        self,
        labels: Sequence[str],
        paired: bool = False,
        thresholds: Sequence[float] | None = None,
        class_weights: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(paired)
        self.labels = list(labels)
        self.thresholds = [DEFAULT_THRESHOLD] * len(self.labels) if thresholds is None else list(thresholds)
        self.class_weights = dict(class_weights or {})
        if not self.labels or len(self.thresholds) != len(self.labels):
            raise ValueError(f"thresholds must be as many as labels. Received: {len(self.thresholds)}, {len(labels)}")
        self._ids = label_ids(self.labels)
        self._spelled = {canonical_label(label): label for label in reversed(self.labels)}

    # === Reading ===

    @classmethod
    def table_columns(cls, columns: Mapping[str, str], options: MultilabelOptions) -> Mapping[str, str]:
        """Returns the columns to read, where the option `label_columns` replaces the label column."""
        names = options.label_columns
        return {**columns, cls.target_column: names} if names and cls.target_column in columns else columns

    @classmethod
    def column_flags(cls, options: MultilabelOptions) -> Mapping[str, str]:
        """Returns the option that names the columns of labels, if it replaces that of the label column."""
        return {cls.target_column: "--label-columns"} if options.label_columns else {}

    @classmethod
    def read_target(cls, value: Any, options: MultilabelOptions) -> tuple[str, ...]:
        """Returns the labels in a cell or a list, or the names of the label columns that hold 1."""
        if options.label_columns:
            names = names_of_columns(options.label_columns)
            cells = [value] if isinstance(value, str) else value
            if len(cells) != len(names):
                listed = ", ".join(names)
                raise ValueError(f"expected 0 or 1 in each of the columns {listed}. Received {len(cells)} values")
            return tuple(name for name, cell in zip(names, cells, strict=True) if is_yes(name, cell))
        if isinstance(value, str):
            if value.strip():
                check_label(value.strip(), options.missing_labels)
            items = parse_list(value)
            value = value.split(options.label_separator) if items is None else items
        labels = tuple(canonical_label(label.strip()) for label in value if label.strip())
        for label in labels:
            check_label(label, options.missing_labels)
        return labels  # `parse_file` needs repeated values to detect vectors of 0 and 1

    @classmethod
    def parse_file(
        cls, path: PathLike, columns: Mapping[str, str], options: MultilabelOptions, *, targets: bool, bad: BadRows
    ) -> Iterator[Example]:
        """Yields the rows of a table. If lists are vectors of 0 and 1, their labels are named "0", "1" and so on."""
        examples = super().parse_file(path, columns, options, targets=targets, bad=bad)
        if not targets or options.label_columns:
            yield from examples
            return
        found = _split_vectors(list(examples))
        size = vector_size([example.target for example in found])
        if size:
            _LOG.info("%s: labels are vectors of 0 and 1; their names are 0 to %d", path, size - 1)
        elif options.label_separator == _SEPARATOR:
            _tell_unsplit([label for example in found for label in example.target], path)
        for example in found:
            if size and len(example.target) != size:
                expected = f"expected a vector of {size} numbers 0 and 1, as in most rows"
                bad.skip(DataError(f"{expected}. Received {len(example.target)} numbers", path, example.line))
                continue
            target = LabelVector.of(example.target) if size else tuple(dict.fromkeys(example.target))
            yield dataclasses.replace(example, target=target)

    @classmethod
    def from_examples(
        cls, examples: Sequence[Example], path: PathLike, options: Mapping[str, Any] | TaskOptions | None = None
    ) -> MultilabelTask:
        """Makes the task with the label columns, or with all labels of the examples.

        Labels of examples are sorted as numbers if all are numbers, else as text.
        """
        chosen: MultilabelOptions = cls.info().choose_options(options)
        names = names_of_columns(chosen.label_columns or "")
        if len(set(names)) < len(names):
            raise UsageError(f"label_columns must be columns that differ. Received: {chosen.label_columns}")
        size = max((each.target.size for each in examples if isinstance(each.target, LabelVector)), default=0)
        names = names or [str(number) for number in range(size)]
        labels = names or sorted_labels({label for each in examples for label in each.target})
        if not any(example.target for example in examples):
            raise DataError("expected labels. No row has any", path)
        warn_of_similar_labels(labels, path)
        weights = _chosen_weights(chosen.class_weights, examples, labels)
        return cls(labels, examples[0].pair is not None, None, weights)

    @classmethod
    def from_foreign(cls, bundle: Bundle, *, paired: bool) -> MultilabelTask | None:
        """Returns the task of a Transformers multilabel classifier, with thresholds of 0.5; None for other models."""
        problem = bundle.foreign_config.get("problem_type")
        fits = bundle.architecture == cls.architecture and problem == "multi_label_classification"
        return cls(bundle.labels, paired) if fits else None

    def foreign_config(self) -> dict[str, Any]:
        """Returns the keys of config.json for the names of the labels."""
        return {**label_names(self.labels), "problem_type": "multi_label_classification"}

    def check_example(self, example: Example) -> Example:
        """Returns the example with its labels as spelled in training; raises ValueError for unknown labels."""
        if isinstance(example.target, LabelVector) and example.target.size != len(self.labels):
            raise ValueError(
                f"expected a vector of {len(self.labels)} numbers 0 and 1, as in training. Received "
                f"{example.target.size} numbers"
            )
        if all(label in self._ids for label in example.target):
            return example
        found = [self._spelled.get(canonical_label(label)) for label in example.target]
        if None in found:
            labels = ", ".join(self.labels)
            unknown = example.target[found.index(None)]
            raise ValueError(f"expected labels seen in training ({labels}). Received {unknown!r}")
        return dataclasses.replace(example, target=tuple(found))

    def training_rows(self, examples: Sequence[Example], encode: GraphEncoder) -> TrainingRows:
        """Returns one row for each example, and the target "labels", float32 [items, labels] of 0 and 1."""
        return TrainingRows(*self.tokens(examples, encode), {"labels": self._matrix(examples).astype(np.float32)})

    def trivial_metrics(self, train: Sequence[Example], validation: Sequence[Example]) -> tuple[str, dict[str, Any]]:
        """Returns the metrics of a model that always gives the most frequent label of the training examples."""
        best = int(self._matrix(train).sum(0).argmax())
        probabilities = np.zeros((len(validation), len(self.labels)), np.float32)
        probabilities[:, best] = 1.0
        always = MultilabelTask(self.labels, self.paired)
        words = f"always answers {self.labels[best]!r}"
        return words, always.evaluate(validation, {"probabilities": probabilities})

    def _matrix(self, examples: Sequence[Example]) -> np.ndarray:
        """Returns which labels each example has, bool [N, labels]."""
        matrix = np.zeros((len(examples), len(self.labels)), bool)
        for row, example in zip(matrix, examples, strict=True):
            row[[self._ids[label] for label in example.target]] = True
        return matrix

    # === Model ===

    def build(self, encoder: BertEncoder) -> ClassificationModel:
        """Makes the encoder with a classification head for these labels."""
        return ClassificationModel(encoder, len(self.labels))

    @property
    def head_row_names(self) -> Sequence[str]:
        """The labels, in the order of the logits."""
        return self.labels

    def loss_sums(self, outputs: Any, batch: Tensors) -> dict[str, tf.Tensor]:
        """Returns sums over examples and labels."""
        labels, logits = batch["labels"], outputs["logits"]
        weights = tf.constant([self.class_weights.get(label, 1.0) for label in self.labels], tf.float32)
        nll = tf.nn.weighted_cross_entropy_with_logits(labels, logits, weights)
        right = tf.cast((logits > 0) == (labels > 0.5), tf.float32)
        return {"cross_entropy": tf.reduce_sum(nll), "label_accuracy": tf.reduce_sum(right)}

    def loss_weights(self, batch: Tensors) -> dict[str, tf.Tensor]:
        """Returns the number of examples times the number of labels."""
        decisions = tf.cast(tf.size(batch["labels"]), tf.float32)
        return {"cross_entropy": decisions, "label_accuracy": decisions}

    @property
    def soft_outputs(self) -> Mapping[str, SoftOutput]:
        """See `TrainableTask.soft_outputs`."""
        return {"logits": SoftOutput(LABELS)}

    def explained_number(self, outputs: Tensors, target: tf.Tensor) -> tf.Tensor:
        """Returns the logit of a label, which is its log odds."""
        return tf.gather(outputs["logits"], target, batch_dims=1)

    # === Answers ===

    def served_answers(self, outputs: Tensors, encoded: Tensors) -> dict[str, tf.Tensor]:
        """Returns the labels that are given, and the probabilities of all labels.

        `labels` is string [B, N], padded with ""; `count`, the number of given labels, int32 [B]; `classes`, all
        labels, string [B, C]; `probabilities`, in the order of `classes`, float32 [B, C].
        """
        probabilities = tf.sigmoid(outputs["logits"])
        given = probabilities >= tf.constant(self.thresholds, tf.float32)
        classes = tf.repeat(tf.constant(self.labels)[None], tf.shape(probabilities)[0], axis=0)
        return {
            "labels": tf.ragged.boolean_mask(classes, given).to_tensor(""),
            "count": tf.reduce_sum(tf.cast(given, tf.int32), -1),
            "classes": classes,
            "probabilities": probabilities,
        }

    def token_outputs(self, outputs: Tensors, encoded: Tensors) -> dict[str, tf.Tensor]:
        """Returns the `probabilities` of the labels, float32 [B, C]."""
        return {"probabilities": tf.sigmoid(outputs["logits"])}

    def readable_answer(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Returns {"labels": [label], "probabilities": {label: p}}."""
        given = row["labels"][: int(row["count"])]
        return {
            "labels": [label.decode("utf-8") for label in given],
            "probabilities": dict(zip(self.labels, row["probabilities"].tolist(), strict=True)),
        }

    def text_line(self, prediction: Mapping[str, Any]) -> str:
        """Formats the labels and the texts."""
        return "\t".join(["|".join(prediction["labels"]), *(prediction[text.column] for text in self.text_inputs)])

    def with_tuned_thresholds(
        self, examples: Sequence[Example], answers: Mapping[str, np.ndarray]
    ) -> TrainableTask[Example]:
        """Returns the task with the thresholds that are best on these examples.

        All labels have the same threshold, since it decides over all of them together and few examples determine it
        well; the micro F1 of calibrated probabilities is largest with one threshold (arXiv 1402.1892). If the main
        metric is the macro F1, each label has the threshold of its best F1.
        """
        truth, probabilities = self._matrix(examples), answers["probabilities"]
        if self.main_metric == "f1_macro":
            thresholds = [best_threshold(probabilities[:, index], truth[:, index]) for index in range(len(self.labels))]
        else:
            thresholds = [best_threshold(probabilities.ravel(), truth.ravel())] * len(self.labels)
        task = copy.copy(self)
        task.thresholds = thresholds
        return task

    def with_temperature(self, temperature: float) -> MultilabelTask:
        """Returns the task with thresholds that give each text the same labels as before."""
        task = super().with_temperature(temperature)
        task.thresholds = probabilities_of(logits_of(np.array(self.thresholds)) / temperature).tolist()
        return task

    def decisions(self, examples: Sequence[Example], answers: Mapping[str, np.ndarray]) -> Decisions:
        """Returns the decisions about each label."""
        return Decisions(np.asarray(answers["probabilities"]), self._matrix(examples))

    def evaluate(self, examples: Sequence[Example], answers: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Returns the metrics of multilabel classification.

        These are the F1 over all decisions (micro), the mean F1 of the labels (macro), the subset accuracy (the part of
        the examples with exactly the right labels), the Hamming loss, the cross entropy, the metrics of
        `confidence_scores` over all decisions, and the scores and threshold of each label. "worst_examples" are the
        examples with wrong labels and the largest cross entropy; each has the lists of labels "expected" and
        "predicted".
        """
        from sklearn import metrics

        truth, probabilities = self._matrix(examples), np.asarray(answers["probabilities"])
        given = probabilities >= np.array(self.thresholds, np.float32)
        # scikit-learn treats a single column as a binary problem and would score the class "no label", too.
        single = len(self.labels) == 1
        columns, only = ((truth[:, 0], given[:, 0]), [True]) if single else ((truth, given), None)
        precision, recall, f1, support = metrics.precision_recall_fscore_support(
            *columns, labels=only, zero_division=0.0
        )
        per_class = scores_by_class(self.labels, precision, recall, f1, support)
        right = np.where(truth, probabilities, 1 - probabilities).astype(np.float64)
        losses = -np.log(np.maximum(right, 1e-30)).mean(-1)
        wrong = (truth != given).any(-1)
        return {
            "examples": len(examples),
            "f1_micro": float(metrics.f1_score(*columns, labels=only, average="micro", zero_division=0.0)),
            "f1_macro": float(f1.mean()),
            "subset_accuracy": float(1 - wrong.mean()),
            "hamming_loss": float((truth != given).mean()),
            "cross_entropy": float(losses.mean()),
            **self.confidence_scores(self.decisions(examples, answers)),
            "per_class": {
                label: {**scores, "threshold": threshold}
                for (label, scores), threshold in zip(per_class.items(), self.thresholds, strict=True)
            },
            "worst_examples": worst_examples(
                examples,
                np.where(wrong, losses, 0.0),
                lambda index: {"expected": self._names(truth[index]), "predicted": self._names(given[index])},
            ),
        }

    def _names(self, chosen: np.ndarray) -> list[str]:
        return [self.labels[index] for index in np.flatnonzero(chosen)]


def _split_vectors(examples: list[Example]) -> list[Example]:
    """Takes vectors apart that are written without brackets ("0 1 1" or "0,1,1"), if all labels of a file are such."""
    if not all(len(each.target) == 1 and _BARE_VECTOR.fullmatch(each.target[0]) for each in examples):
        return examples
    return [dataclasses.replace(each, target=tuple(_BETWEEN.split(each.target[0]))) for each in examples]


def _tell_unsplit(labels: Sequence[str], path: PathLike) -> None:
    """Logs a warning if labels look like several labels that are joined by another separator."""
    unsplit = unsplit_labels(labels)
    if unsplit:
        separator, joined = unsplit
        _LOG.warning(
            "%s: %s of %s labels have %r in them, such as %.60r; each is taken for one label. --label-separator %r "
            "takes them apart",
            path,
            f"{len(joined):,}",
            f"{len(labels):,}",
            separator,
            joined[0],
            separator,
        )


def _chosen_weights(text: str | None, examples: Sequence[Example], labels: Sequence[str]) -> dict[str, float]:
    """Returns the weights in the option `class_weights`.

    With "balanced", the examples with a label count as much in its loss as those without the label.
    """
    if not text:
        return {}
    if text != BALANCED:
        return parse_class_weights(text, labels)
    counts = dict.fromkeys(labels, 0)
    for example in examples:
        for label in example.target:
            counts[label] += 1
    return {
        label: (len(examples) - count) / count if 0 < count < len(examples) else 1.0 for label, count in counts.items()
    }
