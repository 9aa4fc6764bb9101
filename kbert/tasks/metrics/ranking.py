"""Metrics of ranked lists, as trec_eval defines them: reciprocal rank, recall and nDCG."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

CUTS = (1, 5, 10)
"""The numbers of results for which recall is measured."""


def reciprocal_rank(gains: Sequence[float]) -> float:
    """Returns 1 / the rank of the first relevant result; 0 if no result is relevant.

    Args:
        gains: The relevance of each result, the best-ranked first. Results with gains above 0 are relevant.
    """
    return next((1 / rank for rank, gain in enumerate(gains, start=1) if gain > 0), 0.0)


def recall(gains: Sequence[float], relevant: int, cut: int) -> float:
    """Returns the part of the relevant documents that is among the first `cut` results.

    Args:
        gains: The relevance of each result, the best-ranked first.
        relevant: The number of relevant documents.
        cut: The number of results that count.
    """
    return sum(gain > 0 for gain in gains[:cut]) / relevant


def ndcg(gains: Sequence[float], judged: Sequence[float], cut: int) -> float:
    """Returns the discounted cumulative gain of the first `cut` results, divided by the best possible one.

    A gain at rank r counts gain / log2(r + 1) (Järvelin and Kekäläinen 2002, in the form of trec_eval).

    Args:
        gains: The relevance of each result, the best-ranked first.
        judged: The gains of all relevant documents, in any order.
        cut: The number of results that count.
    """
    best = _discounted(sorted(judged, reverse=True)[:cut])
    return _discounted(gains[:cut]) / best if best else 0.0


def _discounted(gains: Sequence[float]) -> float:
    return math.fsum(max(0.0, gain) / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))


def in_order(scores: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """Returns the gains in the order of falling scores.

    Among equal scores the smallest gain comes first, so that a model that scores all candidates alike gains nothing
    from their order in the file.
    """
    return gains[np.lexsort((gains, -scores))]


def ranking_metrics(ranked: Iterable[tuple[Iterable[float], Iterable[float]]]) -> dict[str, float]:
    """Returns the means over queries: "mrr", "recall@1", "recall@5", "recall@10", "ndcg@10".

    Args:
        ranked: For each query, the gains of its results, the best-ranked first, and the gains of all documents that
            are relevant to it. Queries without relevant documents are left out.
    """
    judged = [(list(gains), [gain for gain in relevant if gain > 0]) for gains, relevant in ranked]
    judged = [(gains, relevant) for gains, relevant in judged if relevant]
    metrics = {"mrr": [reciprocal_rank(gains) for gains, _ in judged]}
    metrics |= {f"recall@{cut}": [recall(gains, len(all_), cut) for gains, all_ in judged] for cut in CUTS}
    metrics["ndcg@10"] = [ndcg(gains, all_, 10) for gains, all_ in judged]
    return {name: float(np.mean(values)) if values else 0.0 for name, values in metrics.items()}


def run_metrics(run: Mapping[str, Sequence[str]], judgements: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Returns the metrics of `ranking_metrics` for the ids of results.

    Args:
        run: For each query, the ids of its results, the best-ranked first. A query without results counts 0.
        judgements: For each query, the gain of each judged id.
    """
    return ranking_metrics(
        [
            ([gains.get(result, 0.0) for result in run.get(query, ())], list(gains.values()))
            for query, gains in judgements.items()
        ]
    )
