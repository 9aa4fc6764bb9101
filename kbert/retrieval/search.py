"""Searching an index: for a question, or for all queries of a test collection to measure what is found."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from kbert.errors import BundleError, DataError, UsageError
from kbert.files import PathLike
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.hub import resolve
from kbert.prediction.loading import predictor_of
from kbert.prediction.predictor import Predictor
from kbert.retrieval.index import Index
from kbert.tasks.factories import task_from_bundle
from kbert.tasks.metrics.ranking import run_metrics
from kbert.tasks.readers.retrieval_collections import read_judgements, read_queries

MEASURED = 100
"""The results of each query that metrics look at."""


@dataclasses.dataclass(frozen=True)
class SearchSettings:
    """How to search.

    Args:
        top: The number of results of each query.
        ann: Whether the graph of near neighbours is searched instead of all vectors.
        reranker: The folder of a ranking model or cross-encoder, which orders the results.
        depth: The number of results that are re-ranked; the others follow in the order of the search.
    """

    top: int = 5
    ann: bool = False
    reranker: PathLike | None = None
    depth: int = 50


def search(index: Index, queries: Sequence[str], settings: SearchSettings | None = None) -> list[list[dict[str, Any]]]:
    """Searches an index, and re-ranks the results if the settings name a re-ranker.

    Args:
        index: An open index.
        queries: The texts to search for.
        settings: How to search; the default is SearchSettings().

    Returns:
        For each query a list of {"rank", "id", "score", "text"}, best first. The score is that of the index, or for
        re-ranked documents that of the re-ranker.

    Raises:
        UsageError: The re-ranker is a model for another task, or an option is invalid.

    Example:
        >>> from pathlib import Path
        >>> from kbert.retrieval.search import SearchSettings, search
        >>> Path("documents").mkdir()
        >>> _ = Path("documents/cat.txt").write_text("the cat")
        >>> _ = Path("documents/dog.txt").write_text("a dog ran")
        >>> kbert.build_index("pretrained", input="documents", output="index", pooling="mean")
        2
        >>> results = search(kbert.Index("index"), ["a dog ran"], SearchSettings(top=1))
        >>> results[0][0]["id"]
        'dog.txt#1'
    """
    settings = settings or SearchSettings()
    if settings.reranker is None:
        return index.search(queries, top=settings.top, ann=settings.ann)
    if settings.depth < 1:
        raise UsageError(f"depth must be at least 1. Received: depth={settings.depth}")
    ranker = _load_reranker(settings.reranker)
    found = index.search(queries, top=max(settings.top, settings.depth), ann=settings.ann)
    texts = [[result["text"] for result in results[: settings.depth]] for results in found]
    answers = ranker.predict(list(queries), texts, batch_size=1)
    ordered = []
    for results, answer in zip(found, answers, strict=True):
        first = [results[place] | {"score": answer["scores"][place]} for place in answer["order"]]
        both = [*first, *results[settings.depth :]][: settings.top]
        ordered.append([result | {"rank": rank} for rank, result in enumerate(both, start=1)])
    return ordered


def _load_reranker(model: PathLike) -> Predictor:
    bundle = Bundle.load(resolve(model))
    try:
        # A model of another library with one output ranks, if it is named here and its files do not say otherwise.
        task = task_from_bundle(bundle, model, task=None if bundle.settings.get("task") else "ranking")
        said = f"a model for {task.name}"
    except BundleError:
        task, said = None, f"a {bundle.architecture:.80} without a head that ranks"
    if task is None or task.name != "ranking":
        raise UsageError(
            f"--rerank must be a model of `kbert finetune ranking`, or a cross-encoder. Received: {model}, {said}"
        )
    return predictor_of(bundle, task, model)


def measure_search(
    index: Index, queries: PathLike, judgements: PathLike, settings: SearchSettings | None = None
) -> dict[str, Any]:
    """Measures a search on the queries of a test collection.

    Args:
        index: An open index.
        queries: A file of queries (kbert/tasks/readers/retrieval_collections.py).
        judgements: A file that says which documents are relevant to which query.
        settings: How to search; `top` is replaced by MEASURED.

    Returns:
        "queries", their number, and the metrics "mrr", "recall@1", …, "ndcg@10" over the first MEASURED results.
        Queries without relevant documents are left out.

    Raises:
        DataError: A file is damaged, or none of the queries has judgements.
        UsageError: See `search`.
    """
    settings = dataclasses.replace(settings or SearchSettings(), top=MEASURED)
    asked = read_queries(queries)
    gains: Mapping[str, Mapping[str, float]] = read_judgements(judgements)
    judged = {
        query: documents for query, documents in gains.items() if query in asked and any(map(bool, documents.values()))
    }
    if not judged:
        raise DataError(
            f"expected judgements of the queries in {queries}. Received: none; give the qrels of this collection",
            judgements,
        )
    results = search(index, [asked[query].text for query in judged], settings)
    run = {query: [result["id"] for result in found] for query, found in zip(judged, results, strict=True)}
    return {"queries": len(judged), **run_metrics(run, judged)}
