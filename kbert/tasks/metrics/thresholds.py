"""Thresholds of labels: a label is given if its probability is at least its threshold."""

from __future__ import annotations

import numpy as np

DEFAULT_THRESHOLD = 0.5


def best_threshold(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Returns the threshold with the largest F1, half-way between two probabilities.

    If several thresholds have the largest F1, the result is the one nearest to 0.5.

    Args:
        probabilities: The probability of the label for each example, float32 [N].
        truth: Whether each example has the label, bool [N].

    Returns:
        A number that float32 represents exactly; 0.5 if no example has the label.
    """
    if not np.any(truth):
        return DEFAULT_THRESHOLD
    order = np.argsort(-np.asarray(probabilities), kind="stable")
    values = np.asarray(probabilities, np.float32)[order]
    following = np.append(values[1:], np.float32(0.0))
    given = np.arange(1, len(values) + 1)
    scores = 2 * np.cumsum(np.asarray(truth, np.float64)[order]) / (given + np.sum(truth))
    scores[:-1][values[:-1] == values[1:]] = -1.0  # no threshold separates equal probabilities
    middles = (values + following) / np.float32(2)
    thresholds = np.where(middles > following, middles, values)
    best = np.flatnonzero(scores == scores.max())
    return float(thresholds[best[np.argmin(np.abs(thresholds[best] - DEFAULT_THRESHOLD))]])
