"""What fine-tuning and evaluation ask of a task, beside what prediction asks of it."""

from __future__ import annotations

import abc
import copy
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf

from kbert.errors import DataError, UsageError, shown
from kbert.files import PathLike
from kbert.model_folder.sentence_transformers import SentenceModules
from kbert.tasks.answering import AnsweringTask, Tensors, no_examples
from kbert.tasks.metrics.names import LOSS, larger_is_better
from kbert.tasks.readers.bad_rows import BadRows
from kbert.tasks.training_rows import TrainingRows
from kbert.text.graph.encoder import GraphEncoder

ExampleT = TypeVar("ExampleT")


class TrainableTask(AnsweringTask[ExampleT]):
    """A task that a BERT is fine-tuned for.

    The way of the data, in training: `read` → `from_examples` → `checked` → `training_rows` → `loss_sums` /
    `loss_weights`. In an evaluation: `asked` → the served graph → `evaluate`.
    """

    main_metric: str
    """The metric of `evaluate` that decides which checkpoint is best."""
    losses: tuple[str, ...]
    """The names of the metrics in `loss_sums` whose sum is minimized."""
    needs_whole_batch: bool = False
    """Whether the loss compares the examples of a batch, so that no replica or micro-batch may have only a part."""
    longest_input: int | None = None
    """The longest input in tokens that the model it is trained from is for; None where the catalogue decides."""

    # === Examples ===

    @classmethod
    @abc.abstractmethod
    def from_examples(
        cls, examples: Sequence[ExampleT], path: PathLike, options: Mapping[str, Any] | None = None
    ) -> TrainableTask[ExampleT]:
        """Makes the task for training examples: discovers labels, say. `options` are the catalogue's."""

    def keep_valid(self, examples: Sequence[ExampleT], path: PathLike, bad: BadRows | None = None) -> list[ExampleT]:
        """The examples whose targets can be; the others go to `bad`.

        Raises:
            DataError: A target cannot be, such as a label that training never saw; with file and line.
        """
        bad = bad or BadRows()
        checked = []
        for example in examples:
            try:
                checked.append(self.check_example(example))
            except ValueError as problem:
                bad.skip(DataError(str(problem), path, getattr(example, "line", 0) or None))
        if examples and not checked:
            raise no_examples(self.examples_noun, bad, path)
        return checked

    def check_example(self, example: ExampleT) -> ExampleT:
        """The example, its target as training wants it; ValueError tells why it cannot be used."""
        return example

    def group(self, example: ExampleT) -> Hashable | None:
        """What an example shares with others, such as its dialogue: all are learnt from, or all held out; or None."""
        return None

    def for_validation(self, examples: Sequence[ExampleT], path: PathLike) -> TrainableTask[ExampleT]:
        """The task, once it is known what it is validated by: `main_metric` may depend on it.

        Raises:
            DataError: The examples do not say what is needed to measure it.
        """
        return self

    def with_main_metric(self, metric: str) -> TrainableTask[ExampleT]:
        """The task with this main metric: "loss" or one of `info().metrics`.

        Raises:
            UsageError: The task does not have this metric.
        """
        names = (*self.info().metrics, LOSS)
        if metric not in names:
            raise UsageError(f"main_metric must be one of {', '.join(names)}. Received: main_metric={shown(metric)}")
        task = copy.copy(self)
        task.main_metric = metric
        return task

    @property
    def larger_is_better(self) -> bool:
        """Whether larger values of the main metric are better."""
        return larger_is_better(self.main_metric)

    def for_starting_model(self, folder: PathLike) -> TrainableTask[ExampleT]:
        """The task for training from a model folder, whose files may give settings that the user did not."""
        return self

    def for_training_examples(self, examples: Sequence[ExampleT], encode: GraphEncoder) -> TrainableTask[ExampleT]:
        """The task with settings that follow from the training examples, such as the longest answer."""
        return self

    # === Losses ===

    @abc.abstractmethod
    def training_rows(self, examples: Sequence[ExampleT], encode: GraphEncoder) -> TrainingRows:
        """Tokens and targets of examples; the tokens are those that `encode` gives in the graph."""

    def validation_rows(self, examples: Sequence[ExampleT], encode: GraphEncoder) -> TrainingRows | None:
        """The rows that the validation loss is measured on; None if the examples lack the targets of the loss."""
        return self.training_rows(examples, encode)

    @abc.abstractmethod
    def loss_sums(self, outputs: Any, batch: Tensors) -> dict[str, tf.Tensor]:
        """See kbert.training.loop.objectives.Objective."""

    @abc.abstractmethod
    def loss_weights(self, batch: Tensors) -> dict[str, tf.Tensor]:
        """See kbert.training.loop.objectives.Objective."""

    @property
    def head_row_names(self) -> Sequence[str] | None:
        """The names of the rows of the head's tensors, such as labels; None if only their number matters."""
        return None

    # === Metrics ===

    def evaluation_texts(self, examples: Sequence[ExampleT]) -> dict[str, list[Any]]:
        """The texts whose answers `evaluate` needs: `inputs`, with the prompts of `prompted`."""
        return self.texts_of(examples)

    def with_tuned_thresholds(
        self, examples: Sequence[ExampleT], answers: Mapping[str, np.ndarray]
    ) -> TrainableTask[ExampleT]:
        """The task with thresholds, if it has any, that do best on these answers."""
        return self

    @abc.abstractmethod
    def evaluate(self, examples: Sequence[ExampleT], answers: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Metrics of the answers to `inputs(examples)`; JSON.

        Numbers are metrics. "per_class" is a table {label: {precision, recall, f1, support}}; "labels" and
        "confusion_matrix" (rows true) belong together.
        """

    def trivial_metrics(
        self, train: Sequence[ExampleT], validation: Sequence[ExampleT]
    ) -> tuple[str, dict[str, Any]] | None:
        """The metrics that a constant answer reaches, such as always the most frequent label.

        Args:
            train: The examples that the answer is derived from.
            validation: The examples that the metrics are measured on.

        Returns:
            The answer in words that continue "a model that", and the metrics of `evaluate`; None if the task has no
            constant answer.
        """
        return None

    # === What else the model folder gets ===

    def foreign_config(self) -> dict[str, Any]:
        """Keys that Transformers wants in config.json."""
        return {}

    def sentence_modules(self, sequence_length: int) -> SentenceModules | None:
        """The settings for the files of sentence-transformers; None if the task needs no such files."""
        return None
