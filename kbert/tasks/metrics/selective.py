"""Selective prediction: how often a model is wrong if it answers only where it is confident (arXiv 1705.08500)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

POINTS = 20
"""The number of rows of the table of a risk-coverage curve."""


def risk_coverage(confidences: np.ndarray, right: np.ndarray, points: int = POINTS) -> list[dict[str, Any]]:
    """Returns the part of wrong answers among the most confident ones, for several coverages.

    Args:
        confidences: The confidence of each answer, [N].
        right: Whether each answer is right, bool [N].
        points: The number of coverages, which are evenly spaced up to 1.

    Returns:
        A row for each coverage, in rising order: "coverage", the part of the examples that are answered; "risk", the
        part of these answers that is wrong; and "confidence", the least confidence among them.
    """
    values, wrong = _by_confidence(confidences, right)
    risks = np.cumsum(wrong) / np.arange(1, len(wrong) + 1)
    counts = sorted({math.ceil(len(wrong) * point / points) for point in range(1, points + 1)})
    return [
        {
            "coverage": count / len(wrong),
            "risk": float(risks[count - 1]),
            "confidence": float(values[count - 1]),
        }
        for count in counts
    ]


def risk_coverage_area(confidences: np.ndarray, right: np.ndarray) -> float:
    """Returns the area below the risk-coverage curve: the mean risk over all coverages. 0 is best.

    Args:
        confidences: The confidence of each answer, [N].
        right: Whether each answer is right, bool [N].
    """
    _, wrong = _by_confidence(confidences, right)
    return float((np.cumsum(wrong) / np.arange(1, len(wrong) + 1)).mean())


def answered_scores(confidences: np.ndarray, right: np.ndarray, threshold: float) -> dict[str, float]:
    """Returns the "coverage" and the "answered_accuracy" of a model that abstains below a confidence.

    Args:
        confidences: The confidence of each answer, [N].
        right: Whether each answer is right, bool [N].
        threshold: The least confidence of an answer that is given.

    Returns:
        The part of the examples that are answered, and the accuracy of these answers; 0 if there are none.
    """
    answered = np.asarray(confidences) >= threshold
    accuracy = float(np.asarray(right)[answered].mean()) if answered.any() else 0.0
    return {"coverage": float(answered.mean()), "answered_accuracy": accuracy}


def threshold_of_risk(confidences: np.ndarray, right: np.ndarray, risk: float) -> float | None:
    """Returns the least threshold above which at most the part `risk` of the answers is wrong.

    Args:
        confidences: The confidence of each answer, [N].
        right: Whether each answer is right, bool [N].
        risk: The largest part of the given answers that may be wrong.

    Returns:
        A confidence half-way between that of the last answer that is given and that of the next one; 0 if all answers
        are given; None if the risk is larger above every threshold.
    """
    values, wrong = _by_confidence(confidences, right)
    counts = np.arange(1, len(wrong) + 1)
    last = np.append(values[:-1] > values[1:], True)  # no threshold separates equal confidences
    allowed = np.flatnonzero(last & (np.cumsum(wrong) <= risk * counts + 1e-9))
    if not len(allowed):
        return None
    place = int(allowed[-1])
    if place == len(values) - 1:
        return 0.0
    return float((values[place] + values[place + 1]) / 2)


def _by_confidence(confidences: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the confidences in falling order, and how wrong these answers are, float64 [N] each.

    Answers with equal confidence share their errors evenly, so that the order of the examples does not matter.
    """
    values, groups = np.unique(-np.asarray(confidences, np.float64), return_inverse=True)
    errors = np.bincount(groups, weights=~np.asarray(right, bool))
    sizes = np.bincount(groups)
    return -np.repeat(values, sizes), np.repeat(errors / sizes, sizes)
