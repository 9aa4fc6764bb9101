"""LiteRT models with weights in int8 or int4, by the package ai-edge-quantizer.

TensorFlow's own converter has no weights in int4, and its int8 for accelerators has no good choice of operations for
encoders. Only the products with weights and the look-ups of embeddings are quantized here: in BERT, the values of
LayerNorm, GELU and softmax are too far apart for one scale per tensor.
"""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kbert.errors import UsageError
from kbert.export.phone.lookups import with_embedding_lookups
from kbert.runtime.held_output import held_stderr, no_log_warnings, quiet_logger

QUANTIZER_DTYPES = ("int8", "int4")
"""The dtypes of weights that need ai-edge-quantizer."""


def quantized(
    content: bytes,
    quantize: str,
    rows: Sequence[Mapping[str, np.ndarray]] = (),
    *,
    trained_for: str | None = None,
) -> bytes:
    """Returns a LiteRT model with quantized weights.

    Args:
        content: The content of a .tflite file in float32, with the signature `serving_default`.
        quantize: "int8" for weights and the inputs of products in int8, with fixed ranges; or "int4" for weights in
            int4, with activations that are quantized while the model runs.
        rows: The inputs by name on which the ranges of activations are measured, for "int8".
        trained_for: The dtype whose values the weights have already (`kbert finetune --quantize-aware`).

    Raises:
        UsageError: The package ai-edge-quantizer is missing.
    """
    check_quantizer()
    with (
        contextlib.redirect_stdout(io.StringIO()),
        held_stderr(),
        quiet_logger("absl"),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        from ai_edge_quantizer import quantizer
        from ai_edge_quantizer.calibrator import CalibrationMode

        recipe = quantizer.Quantizer(bytearray(with_embedding_lookups(content)))
        if quantize == "int8":
            _int8(recipe)
        else:
            _int4(recipe, rounded=trained_for == "int4")
        ranges = None
        if recipe.need_calibration:
            # The default mode copies all weights for each row: for a BERT-base it takes minutes and 15 GB.
            mode = CalibrationMode.CALIBRATION_PROFILER_BASED
            ranges = recipe.calibrate({"serving_default": list(rows)}, num_threads=os.cpu_count() or 1, mode=mode)
        return bytes(recipe.quantize(ranges).quantized_model)


def check_quantizer() -> None:
    """Checks that the package ai-edge-quantizer is installed.

    Raises:
        UsageError: It is missing.
    """
    try:
        with no_log_warnings():
            import ai_edge_quantizer  # noqa: F401
    except ImportError:
        raise UsageError("int8 and int4 need ai-edge-quantizer: pip install 'kbert[quantize]'") from None


def describe_training(trained_for: str, quantize: str) -> str:
    """Returns a sentence about a model that was trained with rounded weights, and its export.

    Args:
        trained_for: The dtype that the model was trained for.
        quantize: The dtype of the export.
    """
    trained = f"the model was trained by `kbert finetune --quantize-aware {trained_for}`"
    if quantize == trained_for or (quantize, trained_for) == ("dynamic", "int8"):
        return f"{trained}: the weights of the file are those of the model"
    suits = "int8 or dynamic" if trained_for == "int8" else trained_for
    return f"{trained}, so it suits --quantize {suits}. Received: --quantize {quantize}"


def _int8(recipe: Any) -> None:
    from ai_edge_quantizer.qtyping import QuantGranularity, TFLOperationName

    recipe.add_dynamic_config(".*", TFLOperationName.FULLY_CONNECTED, 8)
    recipe.add_static_config(_PRODUCTS_OF_BLOCKS, TFLOperationName.FULLY_CONNECTED, 8, 8)
    # A few values behind GELU are far larger than the others, so each row needs a range of its own.
    recipe.add_dynamic_config(_PRODUCTS_AFTER_GELU, TFLOperationName.FULLY_CONNECTED, 8)
    # LiteRT stores 12 bytes for the range of a row, and rows of the token table have similar ranges.
    recipe.add_dynamic_config(".*", TFLOperationName.EMBEDDING_LOOKUP, 8, QuantGranularity.TENSORWISE)


def _int4(recipe: Any, *, rounded: bool) -> None:
    from ai_edge_quantizer.algorithm_manager import AlgorithmName
    from ai_edge_quantizer.qtyping import QuantGranularity, TFLOperationName

    # OCTAV chooses ranges that cut off single large weights; with the largest ones as ranges, more labels change. If
    # the weights are rounded, the largest ones give the scales that they were rounded with.
    ranges = AlgorithmName.MIN_MAX_UNIFORM_QUANT if rounded else AlgorithmName.OCTAV
    recipe.add_dynamic_config(".*", TFLOperationName.FULLY_CONNECTED, 4, algorithm_key=ranges)
    recipe.add_dynamic_config(".*", TFLOperationName.EMBEDDING_LOOKUP, 4, QuantGranularity.BLOCKWISE_32)


_PRODUCTS_OF_BLOCKS = r"block_\d+/"
_PRODUCTS_AFTER_GELU = r"block_\d+/output/"
"""Parts of the names of operations; see `kbert.inference.packed_encoder`."""
