"""From scores to lists: the best items, and lists that are less alike."""

from __future__ import annotations

import numpy as np


def best_items(scores: np.ndarray, excluded: np.ndarray, top: int) -> np.ndarray:
    """Returns the columns of the largest scores, best first, int64 [users, top]; equal ones keep their order.

    Args:
        scores: The scores, float32 [users, items].
        excluded: What is not recommended, bool [users, items].
        top: The length of the lists.
    """
    negated = np.where(excluded, np.inf, -scores)
    # A partition finds the best items without sorting all of them.
    best = np.argpartition(negated, min(top, negated.shape[1]) - 1, axis=1)[:, :top]
    best.sort(axis=1)
    order = np.argsort(np.take_along_axis(negated, best, 1), axis=1, kind="stable")
    result: np.ndarray = np.take_along_axis(best, order, 1)
    return result


def diverse_items(
    scores: np.ndarray, candidates: np.ndarray, vectors: np.ndarray, top: int, trade: float
) -> np.ndarray:
    """Chooses a list from candidates by maximal marginal relevance (Carbonell and Goldstein 1998).

    The next item is the one with the largest trade * relevance - (1 - trade) * similarity, where relevance is the score
    between 0 and 1 among the candidates, and similarity the largest cosine with an item that was chosen before.

    Args:
        scores: The scores of the candidates, float32 [candidates].
        candidates: Their columns, int64 [candidates].
        vectors: The vectors of all items, of length 1, float32 [items, width].
        top: The length of the list.
        trade: Between 0 and 1; 1 takes the best scores.

    Returns:
        The chosen columns, int64 [top].
    """
    relevance = (scores - scores.min()) / max(float(np.ptp(scores)), 1e-12)
    chosen: list[int] = []
    nearest = np.zeros(len(candidates))
    left = np.ones(len(candidates), bool)
    for _ in range(min(top, len(candidates))):
        gain = np.where(left, trade * relevance - (1 - trade) * nearest, -np.inf)
        best = int(gain.argmax())
        chosen.append(best)
        left[best] = False
        nearest = np.maximum(nearest, vectors[candidates] @ vectors[candidates[best]])
    result: np.ndarray = candidates[chosen]
    return result


def intra_list_similarity(rows: np.ndarray, vectors: np.ndarray) -> float:
    """Returns the mean cosine of the pairs of items in lists, averaged over lists; smaller is more diverse.

    Args:
        rows: The lists, int64 [lists, length].
        vectors: The vectors of the items, of length 1, float32 [items, width].
    """
    length = rows.shape[1]
    sums = vectors[rows].sum(1)
    pairs = ((sums**2).sum(1) - length) / (length * (length - 1))
    return float(pairs.mean())
