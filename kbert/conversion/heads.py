"""Heads and poolers of models that come from foreign formats or go to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kbert.config import BertConfig
from kbert.conversion.options import Options
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
    options: Options,
    *,
    beside: Sidecar | None = None,
    foreign_config: Mapping[str, Any] | None = None,
) -> Bundle:
    """Makes a bundle of what a foreign format holds.

    The architecture follows from the heads among the tensors. If kbert's own files lie beside the model, they say more:
    the architecture, the task's settings, and the tensors that the format cannot hold.

    Args:
        config: The shape of the model.
        tokenizer: Its tokenizer.
        tensors: Its tensors, by Transformers' names.
        where: The foreign file, for messages.
        options: See `Options`.
        beside: kbert's own files beside the model.
        foreign_config: Further keys for config.json.

    Raises:
        BundleError: The heads are of several models.
    """
    heads = find_heads(tensors)
    if beside and not options.encoder_only:
        if beside.heads is None or heads | find_heads(beside.tensors) == beside.heads:
            # What the format demanded was written with zeros.
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
        options.notes.append(f"{where} has other heads than the kbert.json beside it says; its task was not used")
    tensors = without_zero_pooler(tensors, options)
    further = dict(foreign_config or {})
    if CLASSIFIER in heads:
        further |= numbered_labels(len(tensors[CLASSIFIER_TENSORS[1]]))
    architecture = architecture_with(frozenset(tensors))
    if architecture is None:
        raise BundleError(
            f"{where} has heads of several models ({', '.join(sorted(heads))}), and no model has them all; "
            "--encoder-only leaves them behind"
        )
    return Bundle(config, tokenizer, dict(tensors), architecture, {}, further)


def numbered_labels(classes: int) -> dict[str, Any]:
    """Transformers' names for classes that nobody named."""
    labels = [f"LABEL_{index}" for index in range(classes)]
    return {
        "id2label": {str(index): label for index, label in enumerate(labels)},
        "label2id": {label: index for index, label in enumerate(labels)},
    }


def with_pooler(bundle: Bundle, what: str, options: Options) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """The tensors of a bundle with a pooler, which foreign formats require, and the names of those that were added.

    Models for tagging, question answering and embedding have no pooler. They get one of zeros in a foreign format,
    which is dropped when that is read again.
    """
    missing = tuple(name for name in POOLER if name not in bundle.tensors)
    if not missing:
        return dict(bundle.tensors), ()
    options.notes.append(f"the model has no pooler, and {what} requires one: it is written with zeros")
    shapes = dict(zip(POOLER, PARTS["pooler"].shapes(bundle.config), strict=True))
    return {**bundle.tensors, **{name: np.zeros(shapes[name], np.float32) for name in missing}}, missing


def without_zero_pooler(tensors: Mapping[str, np.ndarray], options: Options) -> dict[str, np.ndarray]:
    """The tensors without a pooler of zeros, which `with_pooler` writes; next sentence prediction must have one."""
    if NSP in find_heads(tensors) or any(np.any(tensors[name]) for name in POOLER if name in tensors):
        return dict(tensors)
    if any(name in tensors for name in POOLER):
        options.notes.append("the pooler holds zeros alone, which stands for a model without one; it is left out")
    return {name: tensor for name, tensor in tensors.items() if name not in POOLER}


def without_heads(bundle: Bundle) -> Bundle:
    """The encoder alone."""
    tensors = {name: tensor for name, tensor in bundle.tensors.items() if name.startswith(ENCODER_PREFIX)}
    return Bundle(bundle.config, bundle.tokenizer, tensors, "BertModel")
