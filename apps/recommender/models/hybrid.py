"""The hybrid: a weighted sum of the scores of other models."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def standardized(scores: np.ndarray) -> np.ndarray:
    """Returns scores with the mean 0 and the deviation 1 for each user, so that those of models can be added."""
    deviation = scores.std(1, keepdims=True)
    result: np.ndarray = (scores - scores.mean(1, keepdims=True)) / np.maximum(deviation, 1e-12)
    return result


def combined(scores: Mapping[str, np.ndarray], weights: Mapping[str, float]) -> np.ndarray:
    """Returns the weighted sum of standardized scores, float32 [users, items].

    Args:
        scores: The scores of each model, float32 [users, items].
        weights: The weight of each model; those without one are left out.
    """
    parts = [weight * standardized(scores[name]) for name, weight in weights.items() if weight]
    total: np.ndarray = sum(parts[1:], parts[0])
    return total
