"""How far a model's probabilities can be believed."""

from __future__ import annotations

from typing import Any

import numpy as np

BINS = 15


def reliability(confidences: np.ndarray, right: np.ndarray, bins: int = BINS) -> list[dict[str, Any]]:
    """How often answers of like confidence are right: what a reliability plot shows.

    Args:
        confidences: The probability of each answer, [N].
        right: Whether it is the right one, bool [N].
        bins: Parts of equal width that 0 to 1 is cut into; a part has its upper end.

    Returns:
        For each part that has answers, from below: "from", "to", "confidence" and "accuracy" (means), "examples".
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
    """The mean difference of confidence and accuracy over the answers of a reliability table (arXiv 1706.04599)."""
    total = sum(row["examples"] for row in table)
    return sum(row["examples"] * abs(row["accuracy"] - row["confidence"]) for row in table) / total
