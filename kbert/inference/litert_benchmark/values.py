"""Values for the inputs of a LiteRT model that is measured: the longest texts that it takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kbert import features

CODE_POINTS = ("code_points", "code_points_pair")
"""The inputs of models that take text, as code points."""

_LETTERS_OF_A_WORD = 5


def made_up_values(name: str, dtype: str, shape: Sequence[int], rows: int | None) -> Any:
    """Returns values for an input, without padding, since padding may be faster.

    Token ids are random, the mask is 1 everywhere, code points are words of random letters, and all other inputs are 0.

    Args:
        name: The name of the input.
        dtype: Its dtype.
        shape: Its shape.
        rows: The number of rows of the table from which it selects, or None.

    Returns:
        An array of that dtype and shape.

    Raises:
        ValueError: The input does not take numbers.
    """
    import numpy as np

    random = np.random.default_rng(0)
    if np.dtype(dtype).kind not in "iufb":
        raise ValueError(f"the input {name} takes {dtype} instead of numbers")
    if name == features.INPUT_WORD_IDS.name and rows is not None:
        return random.integers(0, rows, shape).astype(dtype)
    if name == features.INPUT_MASK.name:
        return np.ones(shape, dtype)
    if name in CODE_POINTS:
        letters = random.integers(ord("a"), ord("z") + 1, shape)
        letters[..., _LETTERS_OF_A_WORD :: _LETTERS_OF_A_WORD + 1] = ord(" ")
        return letters.astype(dtype)
    return np.zeros(shape, dtype)
