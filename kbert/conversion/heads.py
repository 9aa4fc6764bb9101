"""The heads that stand on an encoder, and the class of Transformers that has each set of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from kbert.conversion.options import Options
from kbert.errors import BundleError
from kbert.model_folder.bundle import Bundle

MLM, NSP, CLASSIFIER, QA = "cls.predictions", "cls.seq_relationship", "classifier", "qa_outputs"
"""Prefixes of the tensors of each head, as Transformers names them."""
POOLER = ("bert.pooler.dense.weight", "bert.pooler.dense.bias")
WORDS = "bert.embeddings.word_embeddings.weight"

_ARCHITECTURES: Mapping[frozenset[str], str] = {
    frozenset(): "BertModel",
    frozenset({MLM, NSP}): "BertForPreTraining",
    frozenset({MLM}): "BertForMaskedLM",
    frozenset({NSP}): "BertForNextSentencePrediction",
    frozenset({CLASSIFIER}): "BertForSequenceClassification",
    frozenset({QA}): "BertForQuestionAnswering",
}


def find_heads(names: Iterable[str]) -> frozenset[str]:
    """The heads among tensor names of Transformers."""
    names = list(names)
    return frozenset(head for head in (MLM, NSP, CLASSIFIER, QA) if any(name.startswith(f"{head}.") for name in names))


def architecture(heads: frozenset[str], where: object) -> str:
    """Transformers' class with these heads.

    Raises:
        BundleError: No class has them all.
    """
    if heads not in _ARCHITECTURES:
        raise BundleError(
            f"{where} has heads of several models ({', '.join(sorted(heads))}), and no model has them all; "
            "--encoder-only leaves them behind"
        )
    return _ARCHITECTURES[heads]


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
    width = bundle.config.hidden_size
    options.notes.append(f"the model has no pooler, and {what} requires one: it is written with zeros")
    zeros = dict(zip(POOLER, (np.zeros((width, width), np.float32), np.zeros(width, np.float32)), strict=True))
    return {**bundle.tensors, **{name: zeros[name] for name in missing}}, missing


def without_zero_pooler(
    tensors: Mapping[str, np.ndarray], heads: frozenset[str], options: Options
) -> dict[str, np.ndarray]:
    """The tensors without a pooler of zeros, unless a head reads it."""
    if heads & {NSP, CLASSIFIER} or any(np.any(tensors[name]) for name in POOLER if name in tensors):
        return dict(tensors)
    if any(name in tensors for name in POOLER):
        options.notes.append("the pooler holds zeros alone, which stands for a model without one; it is left out")
    return {name: tensor for name, tensor in tensors.items() if name not in POOLER}


def without_heads(bundle: Bundle) -> Bundle:
    """The encoder alone."""
    tensors = {name: tensor for name, tensor in bundle.tensors.items() if name.startswith("bert.")}
    return Bundle(bundle.config, bundle.tokenizer, tensors, "BertModel")
