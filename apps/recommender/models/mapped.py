"""Factors out of texts: what lets matrix factorization answer for items that nobody has rated."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from sklearn.linear_model import RidgeCV

from apps.recommender.models.factorization import Factorization

_LEAST_LIKES = 3
"""The factors of an item with fewer likes say little about it."""


class MappedFactors:
    """A linear map from the vectors of texts to the factors of a factorization.

    Args:
        factorization: The factorization.
        vectors: The vectors of the items, float32 [items, width].
        likes: The likes that the factorization was made from, float32 [users, items].
    """

    def __init__(self, factorization: Factorization, vectors: np.ndarray, likes: sparse.csr_matrix) -> None:
        self._factorization = factorization
        counts = np.asarray(likes.sum(0)).ravel()
        known = counts >= _LEAST_LIKES
        weights = np.sqrt(counts[known])
        ridge = RidgeCV(alphas=(1.0, 10.0, 100.0)).fit(vectors[known], factorization.factors[known], weights)
        self.factors = np.asarray(ridge.predict(vectors), np.float32)
        """The factors that the texts let expect, float32 [items, size]."""

    def scores(self, likes: sparse.csr_matrix) -> np.ndarray:
        """Returns the scores of all items for users with these likes, float32 [users, items]."""
        scores: np.ndarray = self._factorization.users(likes) @ self.factors.T
        return scores
