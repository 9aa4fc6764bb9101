"""Popularity: what most users like."""

from __future__ import annotations

import numpy as np
from scipy import sparse


class Popularity:
    """Scores items by the number of users who like them.

    Args:
        likes: The likes, float32 [users, items].
    """

    def __init__(self, likes: sparse.csr_matrix) -> None:
        self.counts = np.asarray(likes.sum(0), np.float32).ravel()

    def scores(self, users: int) -> np.ndarray:
        """Returns the logarithms of the numbers, for each user the same, float32 [users, items]."""
        return np.broadcast_to(np.log1p(self.counts), (users, len(self.counts)))
