"""Loads fine-tuned models for predictions."""

from __future__ import annotations

from typing import Any

from kbert.errors import BundleError, UsageError, shown
from kbert.files import PathLike
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.hub import resolve
from kbert.models.encoder import BertEncoder
from kbert.models.tensor_names import assign_tensors
from kbert.prediction.predictor import Predictor
from kbert.tasks.factories import embedding_task, task_from_bundle
from kbert.tasks.protocol.answering import AnsweringTask
from kbert.tasks.readers.remembered import Reading


def load(
    path: PathLike,
    *,
    paired: bool | None = None,
    task: str | None = None,
    pooling: str | None = None,
    prompt: str | None = None,
    prompt_name: str | None = None,
    pair_prompt: str | None = None,
) -> Predictor:
    """Loads a fine-tuned model for predictions.

    Args:
        path: A model folder of `kbert.finetune` or of sentence-transformers; a folder that Hugging Face Transformers
            saved with the head of a task; or a model of the Hugging Face Hub as "hf://owner/name".
        paired: Whether the inputs are pairs of texts. Only classifiers of other libraries need this argument.
        task: "regression" or "ranking", for a model of another library with one output whose files do not name its
            task.
        pooling: How the vector of a text is computed from those of its tokens: "mean", "cls" or "max". It overrides the
            files of the model.
        prompt: The text that is put before each text, such as "query: "; only for embedding models.
        prompt_name: The name of a prompt in the files of the model, instead of `prompt`.
        pair_prompt: The prompt of the second texts of pairs in `evaluate`; the default is `prompt`.

    Example:
        >>> model = kbert.load("pretrained", pooling="mean", prompt="query: ")
        >>> list(model.predict(["how do I return it?"])[0])
        ['text', 'vector']

    Raises:
        BundleError: The folder is not a model folder, is damaged, or contains a model without a task.
        HubError: The hub has no model of this name, or is unreachable.
        UsageError: An argument contradicts the files of the model.
    """
    bundle = Bundle.load(resolve(path))
    the_task = task_from_bundle(bundle, path, paired=paired, task=task, pooling=pooling)
    if any(said is not None for said in (prompt, prompt_name, pair_prompt)):
        the_task = embedding_task(the_task, "--prompt").with_prompt(prompt, prompt_name, pair_prompt)
    return predictor_of(bundle, the_task, path)


def predictor_of(bundle: Bundle, task: AnsweringTask[Any], path: PathLike) -> Predictor:
    """Returns a predictor with the weights of a bundle.

    Raises:
        BundleError: The weights do not fit the task, or kbert.json is damaged.
    """
    model = task.build(BertEncoder(bundle.config, pooled=task.pooled))
    assign_tensors(task.bindings(model), bundle.tensors)
    return Predictor(
        task,
        model,
        task.adapt_tokenizer(bundle.tokenizer),
        _sequence_length(bundle, path),
        reading=_reading(bundle, task, path),
    )


def remembered_reading(path: PathLike) -> Reading:
    """Returns the columns and options with which a fine-tuned model read its training file.

    The result is empty for a model without a task.
    """
    bundle = Bundle.load(resolve(path), notices=False)
    if bundle.settings.get("kind") != "task":
        return Reading()
    return _reading(bundle, task_from_bundle(bundle, path), path)


def _reading(bundle: Bundle, task: AnsweringTask[Any], path: PathLike) -> Reading:
    try:
        return Reading.from_settings(bundle.settings.get("reading", {}), task.info())
    except (TypeError, UsageError) as problem:
        raise BundleError(f"{path}: the key reading of kbert.json is invalid ({problem!s:.200})") from None


def _sequence_length(bundle: Bundle, path: PathLike) -> int:
    most = bundle.config.max_position_embeddings
    length = bundle.settings.get("sequence_length", bundle.longest_input)
    if not isinstance(length, int) or isinstance(length, bool) or not 1 <= length <= most:
        raise BundleError(f"{path}: kbert.json must have a sequence_length from 1 to {most}. Received: {shown(length)}")
    return length
