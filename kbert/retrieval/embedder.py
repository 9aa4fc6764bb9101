"""The models that give the vectors of an index, and their prompts."""

from __future__ import annotations

from collections.abc import Sequence

from kbert.errors import UsageError
from kbert.files import PathLike
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.hub import resolve
from kbert.prediction.loading import predictor_of
from kbert.prediction.options import EngineOptions
from kbert.prediction.predictor import Predictor
from kbert.tasks.embedding import EmbeddingTask
from kbert.tasks.factories import task_from_bundle


def load_embedder(model: PathLike, *, pooling: str | None = None, engine: EngineOptions | None = None) -> Predictor:
    """Loads a model that gives vectors, without a prompt.

    Args:
        model: The model folder.
        pooling: How the vector of a text is computed from those of its tokens, if the files of the model do not define
            it.
        engine: How the encoder is computed; the default is TensorFlow.

    Raises:
        UsageError: The model is for another task.
    """
    bundle = Bundle.load(resolve(model))
    task = task_from_bundle(bundle, model, pooling=pooling)
    if not isinstance(task, EmbeddingTask):
        raise UsageError(
            "expected a model of `kbert finetune embedding` or of sentence-transformers, or an encoder with --pooling. "
            f"Received: {model}, which is for {task.name}"
        )
    return predictor_of(bundle, task.with_prompt(""), model, engine)


def task_of(predictor: Predictor) -> EmbeddingTask:
    """Returns the task of a model that `load_embedder` loaded."""
    assert isinstance(predictor.task, EmbeddingTask)
    return predictor.task


def chosen_prompt(task: EmbeddingTask, prompt: str | None, name: str | None, names: Sequence[str]) -> str:
    """Returns the given prompt, the prompt of the given name, or the first prompt of `names` that the model has.

    Args:
        task: The task of the model.
        prompt: The prompt that the user gave, or None.
        name: The name of a prompt of the model that the user gave, or None.
        names: The names of the prompts to look for if the user gave neither.

    Raises:
        UsageError: Both are given, or the model has no prompt of the name.
    """
    if prompt is not None and name is not None:
        raise UsageError("expected a prompt, or the name of a prompt of the model. Received: both; leave one out")
    if name is not None:
        return task.named_prompt(name)
    if prompt is not None:
        return prompt
    return next((task.prompts[each] for each in names if task.prompts.get(each)), "")
