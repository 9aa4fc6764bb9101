"""The probability from which on a label is given, so that F1 on some examples is largest."""

from __future__ import annotations

import numpy as np

DEFAULT_THRESHOLD = 0.5


def best_threshold(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """The threshold of the largest F1, half-way between two probabilities; of equals the one nearest to a half.

    Args:
        probabilities: Of a label, float32 [N].
        truth: Whether examples have it, bool [N].

    Returns:
        A number that float32 holds exactly; a half where no example has the label.
    """
    if not np.any(truth):
        return DEFAULT_THRESHOLD
    order = np.argsort(-np.asarray(probabilities), kind="stable")
    values = np.asarray(probabilities, np.float32)[order]
    following = np.append(values[1:], np.float32(0.0))
    given = np.arange(1, len(values) + 1)
    scores = 2 * np.cumsum(np.asarray(truth, np.float64)[order]) / (given + np.sum(truth))
    scores[:-1][values[:-1] == values[1:]] = -1.0  # no threshold is between equals
    middles = (values + following) / np.float32(2)
    thresholds = np.where(middles > following, middles, values)
    best = np.flatnonzero(scores == scores.max())
    return float(thresholds[best[np.argmin(np.abs(thresholds[best] - DEFAULT_THRESHOLD))]])
