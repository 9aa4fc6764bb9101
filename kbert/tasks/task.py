"""What a task is: everything that fine-tuning, evaluation, prediction and export ask of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np
import tensorflow as tf

from kbert.architectures import check_architecture
from kbert.bundle import Bundle
from kbert.errors import BundleError, UsageError, shown
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
        raise UsageError(f"there is no task {shown(name)}; there are: {', '.join(classes)}")
    return classes[name]


def task_from_bundle(bundle: Bundle, folder: PathLike, *, paired: bool | None = None) -> Task:
    """The task that a bundle was fine-tuned for, by kbert or by another library.

    Args:
        bundle: A model folder's content.
        folder: Where it was read, for messages.
        paired: Whether examples are pairs of texts, for a model of another library, whose files do not say.

    Raises:
        BundleError: The bundle is for no task, or its settings are damaged.
        UsageError: `paired` contradicts kbert's own settings.
    """
    values = bundle.settings.get("task")
    if not values:
        return _foreign_task(bundle, folder, bool(paired))
    try:
        task = task_class(values["name"]).from_settings(values)
    except (KeyError, TypeError, AttributeError, UsageError) as problem:
        raise BundleError(f"{folder}: the task in kbert.json cannot be used ({problem!s:.200})") from None
    if paired is not None and paired != task.paired:
        raise UsageError(f"{folder} reads {'pairs of texts' if task.paired else 'single texts'}")
    return task


def _foreign_task(bundle: Bundle, folder: PathLike, paired: bool) -> Task:
    from kbert.tasks.classification import ClassificationTask

    if bundle.architecture != ClassificationTask.architecture:
        raise BundleError(
            f"{folder} is for no task yet ({bundle.architecture:.80}); make one of it with `kbert finetune`, or use "
            "its Keras model: kbert.load_model"
        )
    labels = bundle.labels
    problem = bundle.foreign_config.get("problem_type") or "single_label_classification"
    if problem != "single_label_classification" or len(labels) < 2:
        raise BundleError(
            f"{folder}: kbert has no task for problem_type {shown(problem)} with {len(labels)} labels; "
            "kbert.load_model gives its logits"
        )
    check_architecture(bundle.shapes, bundle.config, bundle.architecture, len(labels))
    return ClassificationTask(labels, paired)
