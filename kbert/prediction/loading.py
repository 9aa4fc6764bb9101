"""Loads fine-tuned models for predictions."""

from __future__ import annotations

from typing import Any

from kbert.errors import BundleError, UsageError, shown
from kbert.files import PathLike
from kbert.inference.litert_encoder import litert_encoder
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.hub import resolve
from kbert.models.encoder import BertEncoder
from kbert.models.tensor_names import assign_tensors
from kbert.options import option_error, with_options
from kbert.prediction.options import EngineOptions, LoadOptions
from kbert.prediction.predictor import Predictor
from kbert.tasks.calibrated_task import CalibratedTask
from kbert.tasks.factories import embedding_task, generation_task, task_from_bundle
from kbert.tasks.protocol.answering import AnsweringTask, check_one_pass
from kbert.tasks.readers.remembered import Reading


@with_options(LoadOptions)
def load(model: PathLike, *, options: LoadOptions) -> Predictor:
    """Loads a fine-tuned model for predictions.

    Args:
        model: A model folder of `kbert.finetune` or of sentence-transformers; a folder that Hugging Face Transformers
            saved with the head of a task; or a model of the Hugging Face Hub as "hf://owner/name".
        options: All of these options in one object.

    Example:
        >>> model = kbert.load("pretrained", pooling="mean", prompt="query: ")
        >>> list(model.predict(["how do I return it?"])[0])
        ['text', 'vector']

    Raises:
        BundleError: The folder is not a model folder, is damaged, or contains a model without a task.
        HubError: The hub has no model of this name, or is unreachable.
        UsageError: An argument contradicts the files of the model.
    """
    bundle = Bundle.load(resolve(model))
    task = task_from_bundle(bundle, model, paired=options.paired, task=options.task, pooling=options.pooling)
    if options.abstain_below is not None:
        task = _abstaining(task, options.abstain_below)
    prompts = (options.prompt, options.prompt_name, options.pair_prompt)
    if any(prompt is not None for prompt in prompts):
        names = (name for name in ("prompt", "prompt_name", "pair_prompt") if getattr(options, name) is not None)
        task = embedding_task(task, f"--{next(names).replace('_', '-')}").with_prompt(*prompts)
    changes = options.changes()
    if changes:
        task = generation_task(task, next(iter(changes))).with_decoding(**changes)
    return predictor_of(bundle, task, model, options.narrowed(EngineOptions))


def _abstaining(task: AnsweringTask[Any], threshold: float) -> AnsweringTask[Any]:
    """Returns the task with a threshold below which the model abstains.

    Raises:
        OptionError: The answers of the task are no single choices.
    """
    if not (isinstance(task, CalibratedTask) and task.can_abstain):
        raise option_error(
            lambda spell: (
                f"{spell('abstain_below')} is for classification and multiple choice. Received: a model for "
                f"{task.name}; leave it out"
            )
        )
    return task.with_abstention(threshold)


def predictor_of(
    bundle: Bundle, task: AnsweringTask[Any], path: PathLike, engine: EngineOptions | None = None
) -> Predictor:
    """Returns a predictor with the weights of a bundle.

    Args:
        bundle: The model folder.
        task: The task of the model.
        path: The path of the folder, for messages.
        engine: How the encoder is computed; the default is TensorFlow.

    Raises:
        BundleError: The weights do not fit the task, or kbert.json is damaged.
    """
    # Requests that arrive together are rarely equally long.
    model = task.build(BertEncoder(bundle.config, pooled=task.pooled, pooled_only=task.pooled_only, skip_padding=True))
    assign_tensors(task.bindings(model), bundle.tensors)
    litert = None
    if engine is not None and engine.engine == "litert":
        check_one_pass(task, "engine", "litert")
        litert = litert_encoder(model.encoder, quantize=engine.quantize)
    return Predictor(
        task,
        model,
        task.adapt_tokenizer(bundle.tokenizer),
        _sequence_length(bundle, path),
        reading=_reading(bundle, task, path),
        litert=litert,
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
