"""The token table of a new student, made from that of its teacher."""

from __future__ import annotations

import numpy as np


def narrower_table(table: np.ndarray, width: int, deviation: float) -> np.ndarray:
    """Returns the principal components of a token table, so that similar tokens have similar vectors from the start.

    The student is then spared to learn from few texts which words are alike. If the student is wider than the teacher,
    the further components are 0.

    Args:
        table: The token table of the teacher, [V, H'].
        width: The hidden size of the student, H.
        deviation: The standard deviation of the result.

    Returns:
        The token table of the student, float32 [V, H].
    """
    centred = table.astype(np.float64) - table.mean(axis=0, dtype=np.float64)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    components = vectors[:, ::-1][:, :width]
    narrow = np.zeros((len(table), width))
    narrow[:, : components.shape[1]] = centred @ components
    # The first components would dominate the others; equal deviations suit LayerNorm and the optimizer.
    scale = np.maximum(narrow.std(axis=0), 1e-12)
    narrow *= np.sqrt(scale.mean() / scale)
    return (narrow * (deviation / max(narrow.std(), 1e-12))).astype(np.float32)
