"""Vectors of unit length, for cosines."""

from __future__ import annotations

import numpy as np


def of_length_1(vectors: np.ndarray) -> np.ndarray:
    """Divides vectors [N, H] by their lengths, in float32. A vector of zeros stays unchanged.

    Example:
        >>> of_length_1(np.array([[3.0, 4.0]])).tolist()
        [[0.6000000238418579, 0.800000011920929]]
    """
    vectors = np.asarray(vectors, np.float32)
    lengths = np.sqrt((vectors.astype(np.float64) ** 2).sum(-1, keepdims=True))
    return (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
