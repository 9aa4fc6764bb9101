"""Quantization-aware training: the weights of a model are rounded whenever it computes, as its LiteRT export is.

The best weights and their metrics are chosen with rounded weights, so a run stores these: every engine then gives the
answers that were measured, and the export finds the same scales and loses nothing by rounding once more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kbert.config import BertConfig
from kbert.layers.embeddings import Embeddings
from kbert.layers.fake_quantization import TABLE_BLOCK
from kbert.layers.projection import Projection
from kbert.options import option_error
from kbert.tasks.protocol.answering import AnsweringTask


def check_quantize_aware(dtype: str | None, task: AnsweringTask[Any], config: BertConfig) -> None:
    """Checks that a model can be trained for a dtype.

    Args:
        dtype: "int8" or "int4"; None for training without rounding.
        task: The task of the model.
        config: The configuration of the model.

    Raises:
        OptionError: LiteRT files have no models for the task, or the width does not suit the blocks of int4.
    """
    if dtype is not None and task.not_for_phones:
        raise option_error(
            lambda spell: (
                f"{spell('quantize_aware')} prepares models for phones, and models for {task.name} cannot be exported "
                f"for phones, since {task.not_for_phones}; leave {spell('quantize_aware')} out. "
                f"Received: {spell('quantize_aware', dtype)}"
            )
        )
    if dtype == "int4" and config.hidden_size % TABLE_BLOCK:
        raise option_error(
            lambda spell: (
                f"{spell('quantize_aware', dtype)} needs a model whose hidden size is a multiple of {TABLE_BLOCK}. "
                f"Received: hidden size {config.hidden_size}"
            )
        )


def enable_fake_quantization(model: Any, dtype: str) -> None:
    """Rounds the kernels and the tables of a model whenever it computes.

    Args:
        model: The model, with its starting weights. Graphs that were traced before do not change.
        dtype: "int8" or "int4"; see `kbert.layers.fake_quantization`.

    Raises:
        UsageError: The model has LoRA, or its width does not suit int4.
    """
    for layer in _quantized_layers(model):
        layer.enable_fake_quantization(dtype)


def store_rounded_weights(model: Any) -> None:
    """Replaces the weights of a model by the rounded ones, and ends the fake quantization."""
    for layer in _quantized_layers(model):
        layer.store_rounded_weights()


def _quantized_layers(model: Any) -> Iterator[Projection | Embeddings]:
    """Yields all layers of a model whose weights the LiteRT export stores in int8 or int4."""
    for layer in model._flatten_layers():
        if isinstance(layer, (Projection, Embeddings)):
            yield layer
