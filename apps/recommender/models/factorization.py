"""Matrix factorization: what users with similar likes like."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from sklearn.decomposition import TruncatedSVD


class Factorization:
    """The singular value decomposition of the matrix of likes ("PureSVD", Cremonesi et al. 2010).

    A user is the sum of the factors of what was liked, so a user who was not there in training is no other case. An
    item that nobody liked has no factors: its score is 0.

    Args:
        likes: The likes, float32 [users, items].
        size: The number of factors.
        damping: The exponent of the number of likes of an item by which its column is divided; it makes popular items
            weigh less.
        seed: Determines the random start of the decomposition.
    """

    def __init__(self, likes: sparse.csr_matrix, size: int = 32, damping: float = 0.3, seed: int = 0) -> None:
        self._weights = np.maximum(np.asarray(likes.sum(0), np.float32).ravel(), 1) ** -damping
        size = min(size, min(likes.shape) - 1)
        svd = TruncatedSVD(size, random_state=seed).fit(likes.multiply(self._weights[None]).tocsr())
        self.factors = np.ascontiguousarray(svd.components_.T, np.float32)
        """The factors of the items, float32 [items, size]."""

    def users(self, likes: sparse.csr_matrix) -> np.ndarray:
        """Returns the factors of users, float32 [users, size]."""
        return np.asarray(likes.multiply(self._weights[None]).tocsr() @ self.factors, np.float32)

    def scores(self, likes: sparse.csr_matrix) -> np.ndarray:
        """Returns the scores of all items for users with these likes, float32 [users, items]."""
        scores: np.ndarray = self.users(likes) @ self.factors.T
        return scores / self._weights
