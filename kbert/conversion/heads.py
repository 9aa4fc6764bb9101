"""Adds, removes and recognizes the heads and poolers of models that are converted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kbert.config import BertConfig
from kbert.conversion.settings import ConversionSettings
from kbert.conversion.sidecar import Sidecar
from kbert.errors import BundleError
from kbert.model_folder.architectures import architecture_with
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.parts import CLASSIFIER, CLASSIFIER_TENSORS, ENCODER_PREFIX, NSP, PARTS, POOLER, find_heads
from kbert.text.tokenizer import Tokenizer


def assembled(
    config: BertConfig,
    tokenizer: Tokenizer,
    tensors: Mapping[str, np.ndarray],
    where: object,
    options: ConversionSettings,
    *,
    beside: Sidecar | None = None,
    foreign_config: Mapping[str, Any] | None = None,
) -> Bundle:
    """Returns a bundle made from the contents of a foreign format.

    The architecture follows from the heads among the tensors. If kbert's own files are beside the model, they add the
    exact architecture, the task's settings, and the tensors that the format cannot store.

    Args:
        config: The shape of the model.
        tokenizer: The tokenizer of the model.
        tensors: The tensors of the model, by Transformers' names.
        where: The foreign file, for messages.
        options: See `ConversionSettings`.
        beside: The contents of kbert's own files beside the model; None if there are none.
        foreign_config: Further keys for config.json.

    Raises:
        BundleError: No architecture has all of the heads.
    """
    heads = find_heads(tensors)
    if beside and not options.encoder_only:
        if beside.heads is None or heads | find_heads(beside.tensors) == beside.heads:
            # Tensors that only the format requires were written as zeros; they are dropped here.
            own = {name: tensor for name, tensor in tensors.items() if name not in beside.missing or np.any(tensor)}
            return Bundle(
                config,
                tokenizer,
                {**own, **beside.tensors},
                beside.architecture,
                beside.settings,
                beside.foreign_config,
                beside.modules,
            )
        options.notes.append(
            f"{where} has other heads than kbert.json beside it describes; the task in kbert.json is ignored"
        )
    tensors = without_zero_pooler(tensors, options)
    further = dict(foreign_config or {})
    if CLASSIFIER in heads:
        further |= numbered_labels(len(tensors[CLASSIFIER_TENSORS[1]]))
    architecture = architecture_with(frozenset(tensors))
    if architecture is None:
        raise BundleError(
            f"{where} has heads of several models ({', '.join(sorted(heads))}), and no model has all of them; "
            "--encoder-only converts the encoder without heads"
        )
    return Bundle(config, tokenizer, dict(tensors), architecture, {}, further)


def numbered_labels(classes: int) -> dict[str, Any]:
    """Returns config.json's `id2label` and `label2id` with Transformers' default names, "LABEL_0" and so on."""
    labels = [f"LABEL_{index}" for index in range(classes)]
    return {
        "id2label": {str(index): label for index, label in enumerate(labels)},
        "label2id": {label: index for index, label in enumerate(labels)},
    }


def with_pooler(
    bundle: Bundle, what: str, options: ConversionSettings
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Returns the tensors of a bundle with a pooler, which foreign formats require, and the names of added tensors.

    Models for tagging, question answering and embedding have no pooler. In a foreign format they get a pooler of zeros,
    which is dropped when the model is read again.

    Args:
        bundle: The model.
        what: The name of the format, for the note.
        options: A note is added if the model has no pooler.
    """
    missing = tuple(name for name in POOLER if name not in bundle.tensors)
    if not missing:
        return dict(bundle.tensors), ()
    options.notes.append(f"the model has no pooler, and {what} requires one: a pooler of zeros is written")
    shapes = dict(zip(POOLER, PARTS["pooler"].shapes(bundle.config), strict=True))
    return {**bundle.tensors, **{name: np.zeros(shapes[name], np.float32) for name in missing}}, missing


def without_zero_pooler(tensors: Mapping[str, np.ndarray], options: ConversionSettings) -> dict[str, np.ndarray]:
    """Returns the tensors without a pooler of zeros, which `with_pooler` adds.

    If there is a head for next sentence prediction, the pooler is kept, because that head requires it.
    """
    if NSP in find_heads(tensors) or any(np.any(tensors[name]) for name in POOLER if name in tensors):
        return dict(tensors)
    if any(name in tensors for name in POOLER):
        options.notes.append("the pooler holds only zeros, which means that the model has none; it is left out")
    return {name: tensor for name, tensor in tensors.items() if name not in POOLER}


def without_heads(bundle: Bundle) -> Bundle:
    """Returns a bundle with the encoder of a bundle and without its heads."""
    tensors = {name: tensor for name, tensor in bundle.tensors.items() if name.startswith(ENCODER_PREFIX)}
    return Bundle(bundle.config, bundle.tokenizer, tensors, "BertModel")
