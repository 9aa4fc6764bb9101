"""The protocol of tasks for fine-tuning and evaluation, which extends the protocol for prediction."""

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
from kbert.sources.bad_rows import BadRows
from kbert.tasks.metrics.names import LOSS, larger_is_better
from kbert.tasks.options import TaskOptions
from kbert.tasks.protocol.answering import AnsweringTask, no_examples
from kbert.tasks.protocol.objective import Tensors
from kbert.tasks.protocol.soft_outputs import CLASSES, SoftOutput
from kbert.tasks.protocol.training_rows import TrainingRows
from kbert.text.graph.encoder import GraphEncoder

ExampleT = TypeVar("ExampleT")


class TrainableTask(AnsweringTask[ExampleT]):
    """A task that a BERT is fine-tuned for.

    In training the data go through `read_examples` → `from_examples` → `keep_valid` → `training_rows` → the model →
    `loss_sums` and `loss_weights`; in an evaluation through `evaluation_texts` → the served graph → `evaluate`.
    `kbert.tasks.protocol.objective.Objective` describes losses.

    Methods named `for_…` and `with_…` return the task with other settings; tasks do not change.
    """

    main_metric: str
    """The metric of `evaluate` that decides which weights are best."""
    losses: tuple[str, ...]
    """The names in `loss_sums` whose sum is minimized. The others are metrics."""
    trains_whole_vocabulary: bool = False
    """Whether the loss depends on all rows of the token table, also on those of tokens that the texts do not have."""
    needs_whole_batch: bool = False
    """Whether the loss compares the examples of a batch, so that a batch cannot be split over replicas."""
    has_interval: bool = True
    """Whether fine-tuning computes a confidence interval of the main metric, which evaluates many resampled sets."""
    not_separable: str = ""
    """Why a training row has no loss of its own, which private training and audits need; "" if it has one."""
    not_private: str = ""
    """Why an example is not a single training row, whose gradient private training clips; "" if it can be one."""
    not_unlabelled: str = ""
    """Why a student cannot learn from texts without labels; "" if it can."""
    longest_input: int | None = None
    """The longest input in tokens, if the starting model has such a setting; None for the default of the catalogue."""

    # === Examples ===

    @classmethod
    @abc.abstractmethod
    def from_examples(
        cls, examples: Sequence[ExampleT], path: PathLike, options: Mapping[str, Any] | TaskOptions | None = None
    ) -> TrainableTask[ExampleT]:
        """Makes the task for training examples; classification collects its labels, for instance.

        Args:
            examples: The training examples.
            path: Their file, for messages.
            options: The options of the task by name, or an object of its options class.
        """

    def keep_valid(self, examples: Sequence[ExampleT], path: PathLike, bad: BadRows | None = None) -> list[ExampleT]:
        """Returns the examples whose targets are valid, and counts the others in `bad`.

        Raises:
            DataError: A target is invalid, such as a label that is not in the training data, and `bad` does not allow
                for it; with file and line.
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
        """Returns the example with its target as training needs it, or raises ValueError with the reason."""
        return example

    def check_learnable(self, example: ExampleT) -> None:
        """Raises ValueError with the reason if an example can be evaluated, but not learnt."""

    def group(self, example: ExampleT) -> Hashable | None:
        """Returns the group of an example (for instance its dialogue), or None.

        A group is never split between training and validation.
        """
        return None

    def same_texts(self, example: ExampleT) -> Hashable | None:
        """Returns a value that is equal for examples with the same texts, or None; by default the group.

        Examples of the validation file whose texts are also in the training file are counted with it.
        """
        return self.group(example)

    def for_validation(self, examples: Sequence[ExampleT], path: PathLike) -> TrainableTask[ExampleT]:
        """Returns the task for these validation examples, on which `main_metric` may depend.

        Raises:
            DataError: The examples have nothing to evaluate, such as pairs.
        """
        return self

    def with_main_metric(self, metric: str) -> TrainableTask[ExampleT]:
        """Returns the task with this main metric: "loss" or one of `info().metrics`.

        Raises:
            UsageError: The task has no such metric.
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
        """Returns the task with the settings in the files of the starting model that the user did not give."""
        return self

    def for_private_training(self, validation: Sequence[ExampleT]) -> TrainableTask[ExampleT]:
        """Returns the task without settings that are statistics of the training examples, such as a mean.

        Args:
            validation: The validation examples, whose statistics replace them.
        """
        return self

    def mixed_rows(self, examples: Sequence[ExampleT]) -> str:
        """Returns how training examples mix the rows of their file, which private training refuses; "" if they do not.

        Private training bounds what each example changes. This protects a row of the file only if no other example has
        texts of the row.

        Args:
            examples: The training examples.

        Returns:
            What was received and a way out, for a message; or "".
        """
        return ""

    def for_training_examples(self, examples: Sequence[ExampleT], encode: GraphEncoder) -> TrainableTask[ExampleT]:
        """Returns the task with settings that follow from the training examples, such as the longest answer."""
        return self

    def keep_fitting(
        self, examples: Sequence[ExampleT], encode: GraphEncoder, path: PathLike, bad: BadRows
    ) -> list[ExampleT]:
        """Returns the training examples that fit into the model, and counts the others in `bad`.

        Raises:
            DataError: An example does not fit, and `bad` does not allow for it; with file and line.
        """
        return list(examples)

    # === Losses ===

    @abc.abstractmethod
    def training_rows(self, examples: Sequence[ExampleT], encode: GraphEncoder) -> TrainingRows:
        """Returns the tokens and targets of examples. The tokens are the same as in the served graph."""

    def validation_rows(self, examples: Sequence[ExampleT], encode: GraphEncoder) -> TrainingRows | None:
        """Returns the rows for the validation loss; None if the examples have no targets for the loss."""
        return self.training_rows(examples, encode)

    def items_of_rows(self, encoded: Tensors) -> tf.Tensor | None:
        """Returns the number of the example of each row of `encode`, int64 [R], in ascending order.

        None if each row is an item of `TrainingRows` by itself, or if `encode` gives the rows of an item together,
        [B, C, S].

        Args:
            encoded: What `encode` returned.
        """
        return None

    @abc.abstractmethod
    def loss_sums(self, outputs: Any, batch: Tensors) -> dict[str, tf.Tensor]:
        """See kbert.tasks.protocol.objective.Objective."""

    @abc.abstractmethod
    def loss_weights(self, batch: Tensors) -> dict[str, tf.Tensor]:
        """See kbert.tasks.protocol.objective.Objective."""

    @property
    def soft_outputs(self) -> Mapping[str, SoftOutput]:
        """The raw outputs of the model that a student learns from a teacher, and what they mean."""
        return {"logits": SoftOutput(CLASSES)}

    @property
    def head_row_names(self) -> Sequence[str] | None:
        """The names of the rows of the head's tensors, such as labels; None if the rows have no names."""
        return None

    # === Metrics ===

    def evaluation_texts(self, examples: Sequence[ExampleT]) -> dict[str, list[Any]]:
        """Returns the texts whose answers `evaluate` needs: `texts_of`, with prompts before them."""
        return self.texts_of(examples)

    def with_tuned_thresholds(
        self, examples: Sequence[ExampleT], answers: Mapping[str, np.ndarray]
    ) -> TrainableTask[ExampleT]:
        """Returns the task with the thresholds that are best on these answers, if it has thresholds."""
        return self

    @abc.abstractmethod
    def evaluate(self, examples: Sequence[ExampleT], answers: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Returns the metrics of the answers to `evaluation_texts(examples)`, as JSON values.

        Numbers are metrics. "per_class" is a table {label: {precision, recall, f1, support}}. "labels" and
        "confusion_matrix" belong together; its rows are the true labels.
        """

    def trivial_metrics(
        self, train: Sequence[ExampleT], validation: Sequence[ExampleT]
    ) -> tuple[str, dict[str, Any]] | None:
        """Returns the metrics of a constant answer, such as the most frequent label.

        Args:
            train: The examples that the answer is derived from.
            validation: The examples that the metrics are measured on.

        Returns:
            The answer in words that continue "a model that", and the metrics of `evaluate`; None if the task has no
            constant answer.
        """
        return None

    # === Other files of the model folder ===

    def foreign_config(self) -> dict[str, Any]:
        """Returns keys for config.json that Hugging Face Transformers needs."""
        return {}

    def sentence_modules(self, sequence_length: int) -> SentenceModules | None:
        """Returns the settings for the files of sentence-transformers; None if the task needs no such files."""
        return None
