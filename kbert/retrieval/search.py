"""Searching an index: for a question, or for all queries of a test collection to measure what is found."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from kbert.errors import BundleError, DataError, shown
from kbert.files import PathLike
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.hub import resolve
from kbert.options import option_error, with_options
from kbert.prediction.loading import predictor_of
from kbert.prediction.predictor import Predictor
from kbert.retrieval.index import Index
from kbert.retrieval.options import MeasureSearchOptions, SearchOptions
from kbert.tasks.factories import task_from_bundle
from kbert.tasks.metrics.ranking import run_metrics
from kbert.tasks.readers.retrieval_collections import read_judgements, read_queries

_LOG = logging.getLogger("kbert")
MEASURED = 100
"""The results of each query that metrics look at."""


@with_options(SearchOptions)
def search(index: Index | PathLike, queries: Sequence[str], *, options: SearchOptions) -> list[list[dict[str, Any]]]:
    """Searches an index, and re-ranks the results if the options name a re-ranker.

    Args:
        index: The folder of an index, or an open index, which is faster for several searches.
        queries: The texts to search for.
        options: All of these options in one object.

    Returns:
        For each query a list of {"rank", "id", "score", "text"}, best first. The score is that of the index, or for
        re-ranked documents that of the re-ranker.

    Raises:
        UsageError: The re-ranker is a model for another task, or an option is invalid.

    Example:
        >>> from pathlib import Path
        >>> Path("documents").mkdir()
        >>> _ = Path("documents/cat.txt").write_text("the cat")
        >>> _ = Path("documents/dog.txt").write_text("a dog ran")
        >>> kbert.build_index("pretrained", input="documents", output="index", pooling="mean")
        2
        >>> results = kbert.search("index", ["a dog ran"], top=1)
        >>> results[0][0]["id"]
        'dog.txt#1'
    """
    index = _opened(index, options)
    if options.rerank is None:
        return index.search(queries, top=options.top, ann=options.ann)
    ranker = _load_reranker(options.rerank)
    found = index.search(queries, top=max(options.top, options.depth), ann=options.ann)
    texts = [[result["text"] for result in results[: options.depth]] for results in found]
    answers = ranker.predict(list(queries), texts, batch_size=1)
    ordered = []
    for results, answer in zip(found, answers, strict=True):
        first = [results[place] | {"score": answer["scores"][place]} for place in answer["order"]]
        both = [*first, *results[options.depth :]][: options.top]
        ordered.append([result | {"rank": rank} for rank, result in enumerate(both, start=1)])
    return ordered


def _opened(index: Index | PathLike, options: SearchOptions) -> Index:
    """Returns the open index.

    Raises:
        OptionError: An open index is given, and options that are for opening it.
    """
    if not isinstance(index, Index):
        return Index(index, model=options.model, prompt=options.prompt, prompt_name=options.prompt_name)
    given = [name for name in ("model", "prompt", "prompt_name") if getattr(options, name) is not None]
    if given:
        raise option_error(
            lambda spell: (
                f"an open index has its own {', '.join(map(spell, given))}; give them to kbert.Index, or give the "
                "folder of the index"
            )
        )
    return index


def _load_reranker(model: PathLike) -> Predictor:
    bundle = Bundle.load(resolve(model))
    try:
        # A model of another library with one output ranks, if it is named here and its files do not say otherwise.
        task = task_from_bundle(bundle, model, task=None if bundle.settings.get("task") else "ranking")
        said = f"a model for {task.name}"
    except BundleError:
        task, said = None, f"a {bundle.architecture:.80} without a head that ranks"
    if task is None or task.name != "ranking":
        raise option_error(
            lambda spell: (
                f"{spell('rerank')} must be a model of `kbert finetune ranking`, or a cross-encoder. "
                f"Received: {model}, {said}"
            )
        )
    return predictor_of(bundle, task, model)


@with_options(MeasureSearchOptions)
def measure_search(
    index: Index | PathLike, queries: PathLike, judgements: PathLike, *, options: MeasureSearchOptions
) -> dict[str, Any]:
    """Measures a search on the queries of a test collection.

    Args:
        index: The folder of an index, or an open index.
        queries: A file of queries (kbert/tasks/readers/retrieval_collections.py).
        judgements: A file that says which documents are relevant to which query.
        options: All of these options in one object; `top` is replaced by MEASURED.

    Returns:
        "queries", their number, and the metrics "mrr", "recall@1", …, "ndcg@10" over the first MEASURED results.
        Queries without relevant documents are left out.

    Raises:
        DataError: A file is damaged, or none of the queries has judgements.
        UsageError: See `search`.
    """
    form = options.table_format
    asked = read_queries(queries, form=form)
    gains: Mapping[str, Mapping[str, float]] = read_judgements(judgements, form=form)
    judged = {
        query: documents for query, documents in gains.items() if query in asked and any(map(bool, documents.values()))
    }
    if not judged:
        raise DataError(
            f"expected judgements of the queries in {queries}. Received: none; give the qrels of this collection",
            judgements,
        )
    missing = [query for query in gains if query not in asked]
    if missing:
        _LOG.warning(
            "%s: %d of %d judged queries are left out, since they are not in %s (first: %s)",
            judgements,
            len(missing),
            len(gains),
            queries,
            shown(missing[0]),
        )
    searching = options.narrowed(SearchOptions).replace(top=MEASURED)
    results = search(index, [asked[query].text for query in judged], options=searching)
    run = {query: [result["id"] for result in found] for query, found in zip(judged, results, strict=True)}
    return {"queries": len(judged), **run_metrics(run, judged)}
