"""The content tower: users and items as vectors of texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np


class Content:
    """Scores items by how near their texts are to those of what a user liked.

    Args:
        vectors: The vectors of the items, float32 [items, width].
        half_life: The number of likes after which a like counts half: recent ones count most. None weighs all the same.
    """

    def __init__(self, vectors: np.ndarray, half_life: float | None = None) -> None:
        # What all texts have in common says nothing about the differences between them.
        centred = vectors - vectors.mean(0)
        self.vectors = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
        self._half_life = half_life

    def users(self, histories: Sequence[Sequence[str]], place: Mapping[str, int]) -> np.ndarray:
        """Returns the vectors of users: weighted means of those of their likes, float32 [users, width].

        Args:
            histories: The likes of each user, in the order of time.
            place: The rows of the items, by id.
        """
        users = np.zeros((len(histories), self.vectors.shape[1]), np.float32)
        for row, history in enumerate(histories):
            if history:
                age = np.arange(len(history))[::-1]
                weights = np.ones(len(history)) if self._half_life is None else 0.5 ** (age / self._half_life)
                users[row] = weights @ self.vectors[[place[item] for item in history]] / weights.sum()
        norms = np.linalg.norm(users, axis=1, keepdims=True)
        return users / np.maximum(norms, 1e-12)

    def scores(self, histories: Sequence[Sequence[str]], place: Mapping[str, int]) -> np.ndarray:
        """Returns the cosines of users and items, float32 [users, items]."""
        scores: np.ndarray = self.users(histories, place) @ self.vectors.T
        return scores
