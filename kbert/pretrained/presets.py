"""Creates Keras models from presets and model folders (`from_preset`), and saves them as folders (`save_to_preset`)."""

from __future__ import annotations

import dataclasses
import inspect
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kbert import files
from kbert.config import PRESETS, preset_config
from kbert.errors import UsageError, shown
from kbert.model_folder.architectures import fitting_architecture
from kbert.model_folder.bundle import Bundle, is_bundle
from kbert.model_folder.card import describe_parameters, model_card
from kbert.model_folder.hub import resolve
from kbert.model_folder.parts import CLASSIFIER_TENSORS, CRF_TENSOR, ENCODER_PREFIX, MLM_BIAS, QA, has_pooler
from kbert.model_folder.sentence_transformers import SentenceModules
from kbert.models import tensor_names
from kbert.models.classification import ClassificationModel
from kbert.models.embedding import EmbeddingModel
from kbert.models.encoder import BertEncoder
from kbert.models.head_model import HeadModel
from kbert.models.kinds import ModelKind, kind_of_class
from kbert.models.masked_language_model import MaskedLanguageModel
from kbert.models.pretraining import PretrainingModel
from kbert.models.question_answering import QuestionAnsweringModel
from kbert.models.ranking import RankingModel
from kbert.models.regression import RegressionModel
from kbert.models.tensor_names import TensorBindings
from kbert.models.token_classification import TokenClassificationModel
from kbert.tasks.labels import label_names
from kbert.text.tokenizer import Tokenizer

_LOG = logging.getLogger("kbert")
_STALE = ("metrics", "main_metric", "steps")
"""The settings of a folder that are not saved again, since the model may have been trained after it was loaded."""
_LABELS = ("id2label", "label2id", "num_labels", "_num_labels", "problem_type", "finetuning_task")


@dataclasses.dataclass(frozen=True)
class Origin:
    """The contents of the folder that a model was loaded from.

    Args:
        tokenizer: The tokenizer of the folder.
        settings: The settings of the task in kbert.json.
        foreign_config: The entries of config.json that are not fields of `BertConfig`, such as the names of classes.
        modules: The settings in the files of sentence-transformers; None if there are no such files.
    """

    tokenizer: Tokenizer
    settings: dict[str, Any]
    foreign_config: dict[str, Any]
    modules: SentenceModules | None = None


# === From presets and folders ===


def from_preset(model_class: Any, preset: str | files.PathLike, options: Mapping[str, Any]) -> Any:
    """Implements `kbert.models.preset_model.PresetModel.from_preset` for the class `model_class`."""
    for_encoder, for_head = _split(model_class, options)
    if str(preset) in PRESETS:
        config = preset_config(str(preset), for_encoder.pop("vocab_size", None))
        for_encoder.setdefault("pooled", kind_of_class(model_class).pooled)
        if not issubclass(model_class, HeadModel):
            return model_class(config, **for_encoder)
        if issubclass(model_class, (ClassificationModel, TokenClassificationModel)) and "classes" not in for_head:
            raise UsageError(
                f"expected classes, the number of classes, since a preset has no head. Received: no classes, {preset}"
            )
        return model_class(BertEncoder(config, **for_encoder), **for_head)
    if "vocab_size" in for_encoder:
        raise UsageError(f"leave vocab_size out, since a folder has its own vocabulary. Received: {preset}")
    folder = resolve(preset)
    if not is_bundle(folder):
        raise UsageError(
            f"expected a preset ({', '.join(name for name in PRESETS if not name.startswith('L-'))}, L-2_H-128 to "
            f"L-12_H-768) or a model folder. Received: {preset}"
        )
    bundle = Bundle.load(folder)
    if not issubclass(model_class, HeadModel):
        for_encoder.setdefault("pooled", has_pooler(bundle.tensors))
        model = model_class(bundle.config, **for_encoder)
        _assign(model, tensor_names.encoder_bindings(model), bundle.tensors, folder)
        model._origin = Origin(bundle.tokenizer, {}, {})
        return model
    for_encoder["pooled"] = kind_of_class(model_class).pooled
    return _head_from_folder(model_class, bundle, folder, BertEncoder(bundle.config, **for_encoder), for_head)


def _split(model_class: Any, options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Splits options into those of the encoder and those of the head.

    Raises:
        UsageError: An option is unknown.
    """
    inner = {"packed", "precision", "dtype", "seed", "remat", "skip_padding", "vocab_size"}
    if issubclass(model_class, HeadModel):
        own = {*_parameters(model_class), "name", "trainable"} - {"encoder"}
    else:
        own, inner = set(), {*inner, "pooled", "name", "trainable"}
    unknown = sorted(set(options) - own - inner)
    if unknown:
        raise UsageError(
            f"{model_class.__name__}.from_preset takes {', '.join(sorted(own | inner))}. Received: {shown(unknown[0])}"
        )
    return (
        {name: value for name, value in options.items() if name in inner},
        {name: value for name, value in options.items() if name in own},
    )


def _parameters(model_class: Any) -> set[str]:
    """Returns the names of the arguments that the constructor declares itself."""
    parameters = inspect.signature(model_class.__init__).parameters.values()
    return {each.name for each in parameters if each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)} - {"self"}


def _head_from_folder(
    model_class: Any, bundle: Bundle, folder: Path, encoder: BertEncoder, options: Mapping[str, Any]
) -> Any:
    has_head = _has_head(model_class, bundle)
    stored = _stored_options(model_class, bundle, folder) if has_head else {}
    for name, value in stored.items():
        if options.get(name, value) != value:
            raise UsageError(
                f"the head of {folder} has {name}={value!r}; leave {name} out, or put a fresh head on its "
                f"encoder: {model_class.__name__}(BertEncoder.from_preset(…), {name}=…). "
                f"Received: {name}={options[name]!r}"
            )
    given = {**stored, **options}
    if issubclass(model_class, (ClassificationModel, TokenClassificationModel)) and "classes" not in given:
        raise UsageError(
            f"{folder} has no head of {model_class.__name__}; give classes, the number of classes of a fresh head"
        )
    if issubclass(model_class, EmbeddingModel) and "pooling" not in given:
        raise UsageError(f'{folder} does not define the pooling of its vectors; give pooling, such as pooling="mean"')
    model = model_class(encoder, **given)
    bindings = kind_of_class(model_class).bindings(model)
    tensors = bundle.tensors
    if not has_head:
        tensors = {name: tensor for name, tensor in tensors.items() if name.startswith(ENCODER_PREFIX)}
    _assign(model, bindings, tensors, folder)
    settings = bundle.settings if has_head and bundle.settings.get("kind") == "task" else {}
    model._origin = Origin(
        bundle.tokenizer,
        {name: value for name, value in settings.items() if name not in _STALE},
        dict(bundle.foreign_config) if has_head else {},
        bundle.modules if has_head else None,
    )
    return model


def _has_head(model_class: Any, bundle: Bundle) -> bool:
    """Returns whether a folder has the head of this class. Several classes name their head `classifier`."""
    if issubclass(model_class, (MaskedLanguageModel, PretrainingModel)):
        return MLM_BIAS in bundle.tensors
    if issubclass(model_class, EmbeddingModel):
        return True
    if fitting_architecture(bundle.architecture, frozenset(bundle.tensors)) != kind_of_class(model_class).architecture:
        return False
    if issubclass(model_class, QuestionAnsweringModel):
        return f"{QA}.weight" in bundle.tensors
    weight = bundle.tensors.get(CLASSIFIER_TENSORS[0])
    return weight is not None and (not issubclass(model_class, (RegressionModel, RankingModel)) or len(weight) == 1)


def _stored_options(model_class: Any, bundle: Bundle, folder: Path) -> dict[str, Any]:
    """Returns the arguments of the head that are stored in the files of the folder."""
    if issubclass(model_class, ClassificationModel):
        return {"classes": len(bundle.tensors[CLASSIFIER_TENSORS[0]])}
    if issubclass(model_class, TokenClassificationModel):
        return {"classes": len(bundle.tensors[CLASSIFIER_TENSORS[0]]), "crf": CRF_TENSOR in bundle.tensors}
    if issubclass(model_class, EmbeddingModel) and bundle.modules is not None and bundle.modules.gives_vectors:
        return {"pooling": bundle.modules.pooling, "normalize": bundle.modules.normalize}
    if issubclass(model_class, (RegressionModel, EmbeddingModel)):
        # The task in kbert.json holds them. The import is here because tasks need TensorFlow.
        from kbert.tasks.factories import task_from_bundle

        name = (bundle.settings.get("task") or {}).get("name")
        if name == ("regression" if issubclass(model_class, RegressionModel) else "embedding"):
            task = task_from_bundle(bundle, folder)
            return {each: getattr(task, each) for each in _parameters(model_class) if hasattr(task, each)}
    return {}


def _assign(model: Any, bindings: TensorBindings, tensors: Mapping[str, Any], folder: Path) -> None:
    """Assigns the weights of a folder to a model, and logs a warning that names the parts without weights."""
    lacking = [name for name in bindings if name not in tensors]
    fresh = sorted({name.rsplit(".", 1)[0] for name in lacking if not name.startswith(("bert.enc", "bert.emb"))})
    found = {name: binding for name, binding in bindings.items() if name.rsplit(".", 1)[0] not in fresh}
    tensor_names.assign_tensors(found, tensors)
    if fresh:
        _LOG.warning(
            "%s has no weights of %s: the %s has fresh ones there", folder, ", ".join(fresh), type(model).__name__
        )


# === To folders ===


def save_to_preset(
    model: Any, folder: files.PathLike, tokenizer: Tokenizer | None = None, labels: list[str] | None = None
) -> Path:
    """Implements `kbert.models.preset_model.PresetModel.save_to_preset`."""
    origin: Origin | None = getattr(model, "_origin", None)
    tokenizer = tokenizer or (origin.tokenizer if origin else None)
    if tokenizer is None:
        raise UsageError(
            "expected a tokenizer, since a model folder holds a vocabulary; give tokenizer. Received: none"
        )
    kind = kind_of_class(type(model))
    encoder = model.encoder if isinstance(model, HeadModel) else model
    if len(tokenizer.vocabulary) > encoder.config.vocab_size:
        raise UsageError(
            f"the tokenizer must have at most the model's {encoder.config.vocab_size} tokens. "
            f"Received: {len(tokenizer.vocabulary)}"
        )
    architecture = kind.architecture
    if architecture == "BertForPreTraining" and encoder.pooler is None:
        architecture = "BertForMaskedLM"
    foreign = dict(origin.foreign_config) if origin else {}
    settings = dict(origin.settings) if origin else {}
    if kind.labels is not None:
        foreign, settings = _labelled(model, kind, labels, foreign, settings)
    elif labels is not None:
        raise UsageError(f"{type(model).__name__} has no classes to name. Received: labels={shown(labels)}")
    modules = origin.modules if origin else None
    if isinstance(model, EmbeddingModel):
        settings, modules = _embedding_settings(model, settings, modules)
    tensors = tensor_names.read_tensors(kind.bindings(model))
    config = encoder.config
    card = model_card(
        f"BERT ({describe_parameters(encoder.count_params())}), saved by kbert",
        {
            "Model": f"{type(model).__name__}",
            "Encoder": f"{config.num_hidden_layers} layers, width {config.hidden_size}",
        },
        f"kbert inspect {folder}",
    )
    folder = Path(folder)
    Bundle(config, tokenizer, tensors, architecture, settings, foreign, modules).save(folder, card)
    return folder


def _labelled(
    model: Any, kind: ModelKind, labels: list[str] | None, foreign: dict[str, Any], settings: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the entries of config.json and of kbert.json, with the names of the classes."""
    count = model.head.dense.units
    if labels is None and "id2label" in foreign:
        return foreign, settings
    names = labels or list(kind.labels or ()) or [f"LABEL_{index}" for index in range(count)]
    if len(names) != count or len(set(names)) != count:
        raise UsageError(f"labels must be {count} different names, one for each logit. Received: {shown(names)}")
    foreign = {name: value for name, value in foreign.items() if name not in _LABELS} | label_names(names)
    if isinstance(model, RegressionModel):
        foreign["problem_type"] = "regression"
    return foreign, {}  # the task settings of the folder contain the old names of the classes


def _embedding_settings(
    model: EmbeddingModel, settings: dict[str, Any], modules: SentenceModules | None
) -> tuple[dict[str, Any], SentenceModules]:
    """Returns the settings of the embedding task for kbert.json, and those for the files of sentence-transformers."""
    from kbert.tasks.embedding import EmbeddingTask

    if modules is None or not modules.gives_vectors:
        modules = SentenceModules()
    saved = {**EmbeddingTask.of_modules(modules).settings(), **settings.get("task", {})}
    own = {name: getattr(model, name) for name in EmbeddingTask.saved_fields if hasattr(model, name)}
    task = EmbeddingTask.from_settings({**saved, **own})
    length = settings.get("sequence_length", modules.max_length)
    settings = {"kind": "task", **settings, "task": task.settings()}
    return settings | ({"sequence_length": length} if length else {}), task.sentence_modules(length)


# === KerasHub ===


def from_keras_hub(model_class: Any, backbone: Any, options: Mapping[str, Any]) -> Any:
    """Implements `BertEncoder.from_keras_hub`."""
    from kbert.conversion.keras_hub_backbone import encoder_from_backbone

    return encoder_from_backbone(model_class, backbone, **options)


def to_keras_hub(encoder: BertEncoder) -> Any:
    """Implements `BertEncoder.to_keras_hub`."""
    from kbert.conversion.keras_hub_backbone import backbone_from_encoder

    return backbone_from_encoder(encoder)
