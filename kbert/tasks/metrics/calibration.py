"""Calibration: how well a model's probabilities agree with how often it is right."""

from __future__ import annotations

from typing import Any

import numpy as np

BINS = 15


def reliability(confidences: np.ndarray, right: np.ndarray, bins: int = BINS) -> list[dict[str, Any]]:
    """Returns the accuracy of answers with similar confidence: the table behind a reliability plot.

    Args:
        confidences: The probability of each answer, [N].
        right: Whether each answer is right, bool [N].
        bins: The number of bins of equal width between 0 and 1. A bin includes its upper end.

    Returns:
        A row for each bin that has answers, in rising order: "from", "to", the means "confidence" and "accuracy", and
        the number of "examples".
    """
    confidences = np.asarray(confidences, np.float64)
    edges = np.linspace(0.0, 1.0, bins + 1)
    places = np.searchsorted(edges[1:-1], confidences)
    table = []
    for place in np.unique(places):
        inside = places == place
        table.append(
            {
                "from": float(edges[place]),
                "to": float(edges[place + 1]),
                "confidence": float(confidences[inside].mean()),
                "accuracy": float(np.asarray(right)[inside].mean()),
                "examples": int(inside.sum()),
            }
        )
    return table


def expected_calibration_error(table: list[dict[str, Any]]) -> float:
    """Returns the mean absolute difference of confidence and accuracy in a table of `reliability` (arXiv 1706.04599).

    Each row counts by its number of examples.
    """
    total = sum(row["examples"] for row in table)
    return sum(row["examples"] * abs(row["accuracy"] - row["confidence"]) for row in table) / total
