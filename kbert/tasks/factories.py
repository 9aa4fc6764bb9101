"""Finds the class of a task by name, and makes the task of a model folder."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from kbert.errors import BundleError, UsageError, shown
from kbert.files import PathLike
from kbert.model_folder.architectures import check_architecture
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.cross_encoder import named_activation
from kbert.model_folder.sentence_transformers import EMBEDDER, POOLINGS, SentenceModules
from kbert.options import option_error
from kbert.tasks.catalogue import TASKS, task_info
from kbert.tasks.protocol.answering import AnsweringTask
from kbert.tasks.protocol.trainable import TrainableTask

if TYPE_CHECKING:
    from kbert.tasks.embedding import EmbeddingTask
    from kbert.tasks.generation import GenerationTask


def task_class(name: str) -> type[AnsweringTask[Any]]:
    """Imports and returns the class of a task.

    Raises:
        UsageError: There is no task of that name.
    """
    module, class_name = task_info(name).where.split(":")
    task: type[AnsweringTask[Any]] = getattr(importlib.import_module(module), class_name)
    return task


def trainable_task_class(name: str) -> type[TrainableTask[Any]]:
    """Imports and returns the class of a task that can be fine-tuned.

    Raises:
        UsageError: There is no task of that name, or the task cannot be fine-tuned.
    """
    if not task_info(name).trainable:
        raise UsageError(f"the task {name} is not fine-tuned; pretraining trains it (kbert pretrain)")
    return cast("type[TrainableTask[Any]]", task_class(name))


def task_from_bundle(
    bundle: Bundle,
    folder: PathLike,
    *,
    paired: bool | None = None,
    task: str | None = None,
    pooling: str | None = None,
) -> AnsweringTask[Any]:
    """Returns the task that a model was fine-tuned for, by kbert or by another library.

    Args:
        bundle: The content of the model folder.
        folder: The model folder, for messages.
        paired: Whether examples are pairs of texts. Only classifiers of other libraries need this argument.
        task: The name of the task, if the files of another library do not determine it.
        pooling: How the vectors of tokens are combined to the vector of a text ("mean", "cls" or "max"). It overrides
            the files of the model.

    Raises:
        BundleError: The model is for no task, or its settings are invalid.
        UsageError: An argument contradicts the settings in kbert.json.
    """
    if pooling is not None and pooling not in POOLINGS:
        raise UsageError(f"pooling must be one of {', '.join(POOLINGS)}. Received: pooling={shown(pooling)}")
    values = bundle.settings.get("task")
    if not values:
        found = _foreign_task(bundle, folder, bool(paired), task, pooling)
    else:
        found = _own_task(values, folder, paired, task)
    return found if pooling is None else embedding_task(found, "--pooling").with_pooling(pooling)


def embedding_task(task: AnsweringTask[Any], option: str) -> EmbeddingTask:
    """Returns the task if it is embedding; an option that only embedding models have needs this check.

    Args:
        task: The task of a model.
        option: The option, such as "--prompt", for the message.

    Raises:
        UsageError: The task is not embedding.
    """
    from kbert.tasks.embedding import EmbeddingTask

    if not isinstance(task, EmbeddingTask):
        raise UsageError(f"{option} is for models that give vectors; leave it out. Received: a model for {task.name}")
    return task


def generation_task(task: AnsweringTask[Any], option: str) -> GenerationTask:
    """Returns the task if it is generation; an option that only models for generation have needs this check.

    Args:
        task: The task of a model.
        option: The option, such as "beams", for the message.

    Raises:
        OptionError: The task is not generation.
    """
    from kbert.tasks.generation import GenerationTask

    if not isinstance(task, GenerationTask):
        raise option_error(
            lambda spell: (
                f"{spell(option)} is for models that generate texts; leave it out. Received: a model for {task.name}"
            )
        )
    return task


def _own_task(values: Any, folder: PathLike, paired: bool | None, wanted: str | None) -> AnsweringTask[Any]:
    try:
        task = task_class(values["name"]).from_settings(values)
    except (KeyError, TypeError, AttributeError, ValueError, UsageError) as problem:
        raise BundleError(f"{folder}: the task in kbert.json cannot be used ({problem!s:.200})") from None
    if paired is not None and getattr(task, "paired", paired) != paired:
        raise UsageError(f"{folder} reads {describe_inputs(task)}")
    if wanted is not None and wanted != task.name:
        raise UsageError(f"{folder} is for {task.name}. Received: {wanted}")
    return task


def describe_inputs(task: AnsweringTask[Any]) -> str:
    """Describes the inputs of a task in words, for messages."""
    columns = [text.column for text in task.text_inputs]
    if columns == ["text"]:
        return "single texts"
    return "pairs of texts" if columns == ["text", "pair"] else " and ".join(columns)


def _foreign_task(
    bundle: Bundle, folder: PathLike, paired: bool, wanted: str | None, pooling: str | None
) -> AnsweringTask[Any]:
    """Returns the first task that accepts the head in config.json, or the modules in modules.json."""
    names = _possible_tasks(bundle, wanted, pooling)
    _check_modules(bundle, folder, is_embedding=names == ["embedding"])
    if names == ["embedding"] and bundle.modules is None and pooling is not None:
        bundle = dataclasses.replace(bundle, modules=SentenceModules(pooling))
    for name in names:
        try:
            task = task_class(name).from_foreign(bundle, paired=paired)
        except ValueError as wrong:
            raise BundleError(f"{folder}: config.json cannot be used ({wrong!s:.200})") from None
        if task is not None:
            if task.name != "embedding":  # embedding needs the encoder alone
                check_architecture(bundle.shapes, bundle.config, bundle.architecture, len(bundle.labels))
            return task
    raise _without_task(bundle, folder, wanted)


def _possible_tasks(bundle: Bundle, wanted: str | None, pooling: str | None) -> Sequence[str]:
    """Returns the names of the tasks that a model of another library may be for."""
    if wanted is not None:
        return [task_info(wanted).name]
    if is_cross_encoder(bundle):
        return ["ranking"]
    if pooling is not None or (bundle.modules is not None and bundle.modules.kind == EMBEDDER):
        return ["embedding"]
    return list(TASKS)


def _check_modules(bundle: Bundle, folder: PathLike, *, is_embedding: bool) -> None:
    """Checks that kbert computes all modules of a model of sentence-transformers.

    Raises:
        BundleError: It does not.
    """
    if bundle.modules is None or bundle.modules.unsupported is None:
        return
    problem = f"{folder} has {bundle.modules.unsupported}, which kbert does not compute"
    if is_embedding:
        raise BundleError(
            f"{problem}; its encoder can be fine-tuned (`kbert finetune`), and gives plain vectors with "
            "`kbert predict --features`"
        )
    raise BundleError(problem)


def _without_task(bundle: Bundle, folder: PathLike, wanted: str | None) -> BundleError:
    """Returns the error about a model of another library that is for no task."""
    if wanted is not None:
        return BundleError(f"{folder} cannot be read as a model for {wanted} ({bundle.architecture:.80})")
    if bundle.architecture == "BertModel":
        if any(name.startswith("classifier.") for name in bundle.tensors):
            return BundleError(
                f"{folder}: expected the name of the model's class in config.json, since the weights have a "
                'classifier. Received: no name, or BertModel; write "architectures": ["BertForSequenceClassification"] '
                "into it if texts have labels, or BertForTokenClassification if tokens have them"
            )
        return BundleError(
            f"{folder} is an encoder (BertModel) without a task; give --pooling mean, cls or max (in Python pooling=) "
            "for vectors of texts, or fine-tune it with `kbert finetune`"
        )
    problem = bundle.foreign_config.get("problem_type")
    about = f"{bundle.architecture:.80}, problem_type {shown(problem)}" if problem else f"{bundle.architecture:.80}"
    return BundleError(
        f"{folder} is not for any task ({about}); fine-tune it with `kbert finetune`, or use its Keras model: "
        "kbert.load_model"
    )


def is_cross_encoder(bundle: Bundle) -> bool:
    """Returns whether a model of another library with a single logit is a cross-encoder, and not a regression.

    It is a cross-encoder if config.json names an activation, or if its files are those of a sentence-transformers
    CrossEncoder. Otherwise it is a cross-encoder unless config.json has a problem_type, which Transformers writes when
    it trains a regression.
    """
    if bundle.architecture != "BertForSequenceClassification" or len(bundle.labels) != 1:
        return False
    return named_activation(bundle.foreign_config, bundle.modules)[0] or not bundle.foreign_config.get("problem_type")
