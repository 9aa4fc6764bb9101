"""Searching an index: for a question, or for all queries of a test collection to measure what is found."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from kbert.errors import DataError, UsageError
from kbert.files import PathLike
from kbert.prediction.predictor import load
from kbert.retrieval.index import Index
from kbert.tasks.metrics.ranking import run_metrics
from kbert.tasks.readers.retrieval_collections import read_judgements, read_queries

MEASURED = 100
"""Results a query that metrics look at."""


@dataclasses.dataclass(frozen=True)
class SearchSettings:
    """How to search.

    Args:
        top: Results a query.
        ann: Search the graph of near neighbours.
        reranker: A model folder of the task ranking, which puts the results in order.
        depth: How many results are re-ranked; the others follow as they were.
    """

    top: int = 5
    ann: bool = False
    reranker: PathLike | None = None
    depth: int = 50


def search(index: Index, queries: Sequence[str], settings: SearchSettings | None = None) -> list[list[dict[str, Any]]]:
    """Results of each query, best first: {"rank", "id", "score", "text"}.

    The score is the cosine, or for re-ranked documents the score of the re-ranker.

    Raises:
        UsageError: The re-ranker is for another task, or an option cannot be.
    """
    settings = settings or SearchSettings()
    if settings.reranker is None:
        return index.search(queries, top=settings.top, ann=settings.ann)
    ranker = load(settings.reranker)
    if ranker.task.name != "ranking":
        raise UsageError(
            f"{settings.reranker} is for {ranker.task.name}; re-ranking needs a model of `kbert finetune ranking`, or "
            "a cross-encoder"
        )
    found = index.search(queries, top=max(settings.top, settings.depth), ann=settings.ann)
    texts = [[result["text"] for result in results[: settings.depth]] for results in found]
    answers = ranker.predict(list(queries), texts, batch_size=1)
    ordered = []
    for results, answer in zip(found, answers, strict=True):
        first = [results[place] | {"score": answer["scores"][place]} for place in answer["order"]]
        both = [*first, *results[settings.depth :]][: settings.top]
        ordered.append([result | {"rank": rank} for rank, result in enumerate(both, start=1)])
    return ordered


def measure_search(
    index: Index, queries: PathLike, judgements: PathLike, settings: SearchSettings | None = None
) -> dict[str, Any]:
    """Metrics of what is found for the queries of a test collection: "mrr", "recall@1" …, "ndcg@10".

    The first MEASURED results of each query count; queries without relevant documents are left out.

    Raises:
        DataError: A file cannot be read, or no judged query is there.
    """
    settings = dataclasses.replace(settings or SearchSettings(), top=MEASURED)
    asked = read_queries(queries)
    gains: Mapping[str, Mapping[str, float]] = read_judgements(judgements)
    judged = {
        query: documents for query, documents in gains.items() if query in asked and any(map(bool, documents.values()))
    }
    if not judged:
        raise DataError(f"expected judgements of the queries in {queries}. There are none", judgements)
    results = search(index, [asked[query].text for query in judged], settings)
    run = {query: [result["id"] for result in found] for query, found in zip(judged, results, strict=True)}
    return {"queries": len(judged), **run_metrics(run, judged)}
