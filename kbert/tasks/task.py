"""What a task is: everything that fine-tuning, evaluation, prediction and export ask of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np
import tensorflow as tf

from kbert.errors import BundleError, UsageError
from kbert.files import PathLike
from kbert.models.encoder import BertEncoder
from kbert.models.tensor_names import Slots

Tensors = Mapping[str, tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Example:
    """One text or pair of a user's file.

    Args:
        text: The text.
        pair: The second text of a pair.
        target: What is to be predicted, as the file has it; None where it is unknown.
        line: The 1-based line it came from; 0 for none.
    """

    text: str
    pair: str | None = None
    target: str | None = None
    line: int = 0


class Task(Protocol):
    """A task that a BERT is fine-tuned for.

    A task object knows its labels and settings, but no weights: those are in the Keras model that `build` makes.
    """

    name: ClassVar[str]
    architecture: ClassVar[str]
    """Transformers' class for the same model."""
    main_metric: ClassVar[str]
    """The metric of `evaluate` that decides which checkpoint is best; larger is better."""
    paired: bool
    """Whether an example is a pair of texts."""

    @property
    def losses(self) -> tuple[str, ...]:
        """See kbert.training.objectives.Objective."""

    @classmethod
    def default_columns(cls) -> dict[str, str]:
        """The table columns it reads, by role, with their default names."""

    @classmethod
    def read(cls, path: PathLike, columns: Mapping[str, str]) -> list[Example]:
        """Reads examples; without a "label" in `columns` they have no target."""

    @classmethod
    def from_examples(cls, examples: Sequence[Example], path: PathLike) -> Task:
        """Makes the task for training examples: discovers labels, say."""

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Task:
        """Makes it anew from what `settings` gave."""

    def settings(self) -> dict[str, Any]:
        """What a bundle remembers of it; JSON."""

    def foreign_config(self) -> dict[str, Any]:
        """Keys that Transformers wants in config.json."""

    def targets(self, examples: Sequence[Example], path: PathLike) -> dict[str, np.ndarray]:
        """Targets as arrays with a row an example.

        Raises:
            DataError: A target cannot be, such as a label that training never saw; with file and line.
        """

    def build(self, encoder: BertEncoder) -> Any:
        """A Keras model from features to raw outputs, a dict of tensors."""

    def slots(self, model: Any) -> Slots:
        """The variables of that model under Transformers' names."""

    def numerators(self, outputs: Any, batch: Tensors) -> dict[str, tf.Tensor]:
        """See kbert.training.objectives.Objective."""

    def denominators(self, batch: Tensors) -> dict[str, tf.Tensor]:
        """See kbert.training.objectives.Objective."""

    def answers(self, outputs: Tensors) -> dict[str, tf.Tensor]:
        """Raw outputs to what a server answers, in the graph; each tensor has a row an example."""

    def answer(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """One example's row of `answers`, as NumPy, to what a person reads; JSON."""

    def evaluate(self, targets: Mapping[str, np.ndarray], answers: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Metrics of answers against targets; JSON, numbers unless named otherwise."""


def task_class(name: str) -> type[Task]:
    """The class of a task.

    Raises:
        UsageError: There is no task of that name.
    """
    from kbert.tasks.classification import ClassificationTask

    classes: dict[str, type[Task]] = {ClassificationTask.name: ClassificationTask}
    if name not in classes:
        raise UsageError(f"there is no task {name!r}; there are: {', '.join(classes)}")
    return classes[name]


def task_from_settings(settings: Mapping[str, Any], folder: PathLike) -> Task:
    """The task that a bundle was fine-tuned for.

    Raises:
        BundleError: The bundle is for no task, or its settings are damaged.
    """
    values = settings.get("task")
    if not values:
        raise BundleError(f"{folder} is for no task yet; make one of it with `kbert finetune`")
    try:
        return task_class(values["name"]).from_settings(values)
    except (KeyError, TypeError) as problem:
        raise BundleError(f"{folder}: the task in kbert.json lacks a setting ({problem})") from None
