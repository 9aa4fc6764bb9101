"""Metrics of vectors of texts: correlations with scores, and the retrieval of each text's pairs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kbert.tasks.metrics.correlation import pearson, spearman
from kbert.tasks.metrics.ranking import in_order, ranking_metrics
from kbert.tasks.metrics.vectors import of_length_1


def score_metrics(texts: np.ndarray, pairs: np.ndarray, scores: Sequence[float]) -> dict[str, float]:
    """Returns "spearman" and "pearson", the correlations of scores with the cosines of pairs.

    Args:
        texts: The vector of each text, float32 [B, H].
        pairs: The vector of each second text, float32 [B, H].
        scores: The score of each pair.
    """
    cosines = (of_length_1(texts) * of_length_1(pairs)).sum(-1).astype(np.float64)
    given = np.array(scores, np.float64)
    return {"spearman": spearman(cosines, given), "pearson": pearson(cosines, given)}


def pair_metrics(
    vectors: np.ndarray, texts: np.ndarray, pairs: np.ndarray, names: Sequence[str], pair_names: Sequence[str]
) -> dict[str, float]:
    """Returns the metrics of a search for the pairs of each text among the second texts of all pairs.

    A second text that is equal to the text itself counts only if it is a pair of the text.

    Args:
        vectors: The vectors of distinct texts, float32 [N, H]. They are compared by their dot products.
        texts: The row of each pair's first text in `vectors`, int [B].
        pairs: The row of each pair's second text in `vectors`, int [B].
        names: The first texts, without prompts.
        pair_names: The second texts, without prompts.

    Returns:
        "queries", "candidates", "mrr", "recall@1", "recall@5", "recall@10" and "ndcg@10".
    """
    queries, query_places = np.unique(texts, return_index=True)
    candidates, candidate_places, columns = np.unique(pairs, return_index=True, return_inverse=True)
    candidate_names = np.array([pair_names[place] for place in candidate_places], object)
    ranked = []
    for query, place in zip(queries, query_places, strict=True):
        gains = np.zeros(len(candidates))
        gains[columns[texts == query]] = 1.0
        others = (candidate_names != names[place]) | (gains > 0)
        ranked.append((in_order(vectors[candidates[others]] @ vectors[query], gains[others]), gains))
    return {"queries": len(ranked), "candidates": len(candidates), **ranking_metrics(ranked)}
