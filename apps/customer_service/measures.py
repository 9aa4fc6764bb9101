"""Figures about answers: how many are right, how many are given at a threshold, and which threshold to take."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class Answered:
    """What a threshold does to questions with a right answer.

    Args:
        threshold: The least confidence of an answer that is given.
        coverage: The part of the questions that are answered.
        precision: The part of the answers that are right; 1 if there is no answer.
    """

    threshold: float
    coverage: float
    precision: float


def answered_above(threshold: float, scores: Sequence[float], right: Sequence[bool]) -> Answered:
    """Measures a threshold.

    Args:
        threshold: The threshold.
        scores: The confidence in the best answer to each question.
        right: Whether that answer is right.

    Example:
        >>> from apps.customer_service.measures import answered_above
        >>> answered_above(0.5, [0.9, 0.6, 0.3], [True, False, True])
        Answered(threshold=0.5, coverage=0.6666666666666666, precision=0.5)
    """
    given = np.asarray(scores, np.float64) >= threshold
    precision = float(np.asarray(right)[given].mean()) if given.any() else 1.0
    return Answered(threshold, float(given.mean()), precision)


def threshold_for(precision: float, scores: Sequence[float], right: Sequence[bool]) -> float:
    """Returns the smallest threshold at which the answers have a precision; above all scores if there is none.

    Args:
        precision: The wanted part of right answers.
        scores: The confidence in the best answer to each question, not empty.
        right: Whether that answer is right.

    Example:
        >>> from apps.customer_service.measures import threshold_for
        >>> threshold_for(0.75, [0.9, 0.8, 0.7, 0.6, 0.5], [True, True, False, True, False])
        0.6
        >>> threshold_for(0.9, [0.4], [False]) > 0.4
        True
    """
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    ordered = np.asarray(scores, np.float64)[order]
    precisions = np.cumsum(np.asarray(right, np.float64)[order]) / np.arange(1, len(order) + 1)
    # Questions with equal scores are answered together.
    ends = np.append(ordered[1:] < ordered[:-1], True)
    enough = np.flatnonzero(ends & (precisions >= precision))
    return float(ordered[enough[-1]]) if len(enough) else float(np.nextafter(ordered[0], np.inf))


def ranks(found: Sequence[Sequence[str]], right: Sequence[str]) -> dict[str, float]:
    """Returns how well right answers are ranked.

    Args:
        found: The ids that are found for each question, best first.
        right: The id of the right answer to each question.

    Returns:
        "recall@1" and "recall@5", the part of the questions whose right answer is among the first, and "mrr", the mean
        of one over its rank, 0 if it is not found.

    Example:
        >>> from apps.customer_service.measures import ranks
        >>> ranks([["a", "b"], ["b", "a"]], ["a", "a"])
        {'recall@1': 0.5, 'recall@5': 1.0, 'mrr': 0.75}
    """
    places = [list(names).index(name) + 1 if name in names else 0 for names, name in zip(found, right, strict=True)]
    counts = {f"recall@{top}": sum(0 < place <= top for place in places) / len(places) for top in (1, 5)}
    return {**counts, "mrr": sum(1 / place for place in places if place) / len(places)}


def auroc(inside: Sequence[float], outside: Sequence[float]) -> float:
    """Returns how often a question with an answer has a higher confidence than one without (ties count half).

    Args:
        inside: The confidences for questions that have an answer.
        outside: The confidences for questions that have none.

    Example:
        >>> from apps.customer_service.measures import auroc
        >>> auroc([0.9, 0.6], [0.7, 0.1])
        0.75
    """
    from sklearn.metrics import roc_auc_score

    labels = [1] * len(inside) + [0] * len(outside)
    return float(roc_auc_score(labels, [*inside, *outside]))
