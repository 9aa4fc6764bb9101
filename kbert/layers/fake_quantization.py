"""Fake quantization of weights: the values that a model has after its weights were stored in int8 or int4.

Training with rounded weights lets a model adapt to the rounding (arXiv 1712.05877). The rounding is that of the LiteRT
export. The weights themselves stay float32, and get the gradients of the rounded ones (the straight-through estimator).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops

from kbert.errors import UsageError
from kbert.layers.gradients import own_gradient

FAKE_QUANTIZATIONS = ("int8", "int4")
"""The dtypes of fake quantization."""

TABLE_BLOCK = 32
"""The number of values in a row of a table that share a scale with int4."""

_LARGEST = {"int8": 127, "int4": 7}
"""The largest whole number that a weight is rounded to. The smallest one is its negative."""
_INT4_DEVIATIONS = 2.56
"""The largest weight of a column with int4, in root mean squares of the column. Larger weights are cut off: this gives
normally distributed weights the smallest squared error."""
_SMALLEST_RANGE = 1e-9


def check_fake_quantization(dtype: str) -> None:
    """Checks the name of a dtype.

    Raises:
        UsageError: It is not one of FAKE_QUANTIZATIONS.
    """
    if dtype not in FAKE_QUANTIZATIONS:
        raise UsageError(f"the dtype must be one of {', '.join(FAKE_QUANTIZATIONS)}. Received: {dtype!r}")


def rounded_kernel(kernel: Any, dtype: str) -> Any:
    """Returns a kernel rounded with one scale for each column, float32 [width, units].

    Args:
        kernel: The kernel, float32 [width, units].
        dtype: "int8" or "int4".
    """
    kernel = ops.convert_to_tensor(kernel)
    largest = ops.max(ops.abs(kernel), axis=0, keepdims=True)
    if dtype == "int4":
        deviation = ops.sqrt(ops.mean(ops.square(kernel), axis=0, keepdims=True))
        largest = ops.minimum(largest, _INT4_DEVIATIONS * deviation)
    return _rounded(kernel, _scale(largest, dtype), dtype)


def rounded_rows(rows: Any, table: Any, dtype: str) -> Any:
    """Returns rows of a table, rounded with one scale for the table (int8) or for each TABLE_BLOCK values (int4).

    Args:
        rows: Rows of the table, float32 [..., width]. With int4 the width is a multiple of TABLE_BLOCK.
        table: The table, float32 [rows, width].
        dtype: "int8" or "int4".
    """
    if dtype == "int8":
        return _rounded(rows, _scale(ops.max(ops.abs(ops.convert_to_tensor(table))), dtype), dtype)
    blocks = ops.reshape(rows, (-1, TABLE_BLOCK))
    scale = _scale(ops.max(ops.abs(blocks), axis=-1, keepdims=True), dtype)
    # LiteRT stores the scales of blocks in bfloat16.
    scale = ops.cast(ops.cast(scale, "bfloat16"), "float32")
    return ops.reshape(_rounded(blocks, scale, dtype), ops.shape(rows))


def straight_through(weights: Any, rounded: Callable[[Any], Any]) -> Any:
    """Returns rounded weights, whose gradient is that of the weights.

    Args:
        weights: The weights: a variable or a tensor.
        rounded: A function from the weights to the rounded weights, which reads no other variables.
    """

    @own_gradient
    def function(weights: Any) -> tuple[Any, Callable[[Any], Any]]:
        return rounded(weights), lambda above: above

    # TensorFlow's custom gradients do not accept variables; reshaping turns a variable into a tensor.
    return function(ops.reshape(weights, ops.shape(weights)))


def _scale(largest: Any, dtype: str) -> Any:
    return ops.maximum(largest, _SMALLEST_RANGE) / _LARGEST[dtype]


def _rounded(values: Any, scale: Any, dtype: str) -> Any:
    largest = _LARGEST[dtype]
    return ops.clip(ops.round(values / scale), -largest, largest) * scale
