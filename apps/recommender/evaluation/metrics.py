"""Metrics of ranked lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

TOP = 20
_SAMPLES = 1000


@dataclass(frozen=True)
class Quality:
    """Means over users, with 95 % confidence intervals by the bootstrap over users.

    Args:
        users: The number of users.
        recall: Recall at 20.
        recall_interval: Its interval.
        ndcg: Normalized discounted cumulative gain at 20.
        ndcg_interval: Its interval.
    """

    users: int
    recall: float
    recall_interval: tuple[float, float]
    ndcg: float
    ndcg_interval: tuple[float, float]


def recall_of(ranked: Sequence[int], wanted: set[int]) -> float:
    """Returns the part of the wanted items that is in a list; of those that fit into it, if there are more.

    Example:
        >>> recall_of([4, 7], {7, 9, 11})
        0.5
    """
    return len(wanted.intersection(ranked)) / min(len(wanted), len(ranked))


def ndcg_of(ranked: Sequence[int], wanted: set[int]) -> float:
    """Returns the gain of a list, divided by the gain of the best one. A wanted item at place i gains 1 / log2(i + 1).

    Example:
        >>> round(ndcg_of([4, 7], {7}), 4)
        0.6309
    """
    gain = sum(1 / np.log2(place + 2) for place, item in enumerate(ranked) if item in wanted)
    best = sum(1 / np.log2(place + 2) for place in range(min(len(wanted), len(ranked))))
    return float(gain / best)


def quality_of(lists: np.ndarray, wanted: Sequence[set[int]], *, seed: int = 0) -> Quality:
    """Measures lists, int64 [users, 20], by what each user liked later; no user may have liked nothing."""
    rows = [list(map(int, row)) for row in lists]
    values = np.array([(recall_of(row, own), ndcg_of(row, own)) for row, own in zip(rows, wanted, strict=True)])
    rng = np.random.default_rng(seed)
    drawn = values[rng.integers(len(values), size=(_SAMPLES, len(values)))].mean(1)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    recall, ndcg = values.mean(0)
    return Quality(
        len(values),
        float(recall),
        (float(low[0]), float(high[0])),
        float(ndcg),
        (float(low[1]), float(high[1])),
    )
