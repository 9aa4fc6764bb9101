"""Metrics of ranked lists, as trec_eval defines them: reciprocal rank, recall and nDCG."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

CUTS = (1, 5, 10)
"""Where recall is measured."""


def reciprocal_rank(gains: Sequence[float]) -> float:
    """1 over the rank of the first relevant one; 0 if there is none.

    Args:
        gains: How relevant each result is, best ranked first; relevant are those above 0.
    """
    return next((1 / rank for rank, gain in enumerate(gains, start=1) if gain > 0), 0.0)


def recall(gains: Sequence[float], relevant: int, cut: int) -> float:
    """The part of all relevant ones that is among the first `cut` results; `relevant` says how many there are."""
    return sum(gain > 0 for gain in gains[:cut]) / relevant


def ndcg(gains: Sequence[float], judged: Sequence[float], cut: int) -> float:
    """Discounted cumulative gain of the first `cut` results as part of the best there could be.

    A gain at rank r counts gain / log2(r + 1) (Järvelin and Kekäläinen 2002, in the form of trec_eval).

    Args:
        gains: How relevant each result is, best ranked first.
        judged: The gains of all that is relevant, in any order.
        cut: How many results count.
    """
    best = _discounted(sorted(judged, reverse=True)[:cut])
    return _discounted(gains[:cut]) / best if best else 0.0


def _discounted(gains: Sequence[float]) -> float:
    return math.fsum(max(0.0, gain) / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))


def in_order(scores: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """The gains by falling score. Of equal scores the least relevant comes first: a model that cannot tell
    candidates apart earns nothing by their order.
    """  # noqa: D205 (one sentence)
    return gains[np.lexsort((gains, -scores))]


def ranking_metrics(ranked: Iterable[tuple[Iterable[float], Iterable[float]]]) -> dict[str, float]:
    """The means over queries: "mrr", "recall@1", "recall@5", "recall@10", "ndcg@10".

    Args:
        ranked: For each query the gains of its results, best ranked first, and the gains of all that is relevant to it.
            Queries without anything relevant are left out.
    """
    judged = [(list(gains), [gain for gain in relevant if gain > 0]) for gains, relevant in ranked]
    judged = [(gains, relevant) for gains, relevant in judged if relevant]
    metrics = {"mrr": [reciprocal_rank(gains) for gains, _ in judged]}
    metrics |= {f"recall@{cut}": [recall(gains, len(all_), cut) for gains, all_ in judged] for cut in CUTS}
    metrics["ndcg@10"] = [ndcg(gains, all_, 10) for gains, all_ in judged]
    return {name: float(np.mean(values)) if values else 0.0 for name, values in metrics.items()}


def run_metrics(run: Mapping[str, Sequence[str]], judgements: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """The same for the ids of results.

    Args:
        run: The ids of each query's results, best ranked first. A query that has none counts 0.
        judgements: For each query the gain of each judged id.
    """
    return ranking_metrics(
        [
            ([gains.get(result, 0.0) for result in run.get(query, ())], list(gains.values()))
            for query, gains in judgements.items()
        ]
    )
