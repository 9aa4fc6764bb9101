"""Reads judgements together with the texts of their queries and documents."""

from __future__ import annotations

from kbert.errors import DataError, UsageError
from kbert.files import PathLike
from kbert.sources.bad_rows import BadRows
from kbert.tasks.readers.retrieval_collections import Document, read_documents, read_judgements, read_queries


def read_judged(
    judgements: PathLike, documents: PathLike | None, queries: PathLike | None, bad: BadRows
) -> tuple[list[tuple[Document, list[tuple[Document, float]]]], list[str]]:
    """Returns each query with its judged documents and their gains, and the distinct texts of all documents.

    The formats of the files are those of kbert.tasks.readers.retrieval_collections.

    Args:
        judgements: The file of judgements.
        documents: The file or folder of documents.
        queries: The file of queries.
        bad: Counts what is skipped: judgements of missing queries or documents, and invalid documents.

    Raises:
        UsageError: `documents` or `queries` is missing.
        DataError: A file is invalid.
    """
    if not documents or not queries:
        raise UsageError("judgements need both --documents and --queries")
    empty: set[str] = set()  # `read_documents` has counted these documents already
    texts = {document.id: document for document in read_documents(documents, bad=bad, skipped=empty)}
    unasked: set[str] = set()
    asked = read_queries(queries, bad=bad, skipped=unasked)
    judged = []
    for query, gains in read_judgements(judgements, bad=bad).items():
        if query in unasked:
            continue
        missing = [name for name in gains if name not in texts and name not in empty]
        for name in missing if query in asked else [query]:
            what, where = ("query", queries) if query not in asked else ("document", documents)
            bad.skip(DataError(f"the {what} {name!r} is not in {where}", judgements))
        if query in asked:
            found = [(texts[name], gain) for name, gain in gains.items() if name in texts]
            judged.append((asked[query], found))
    return judged, list(dict.fromkeys(document.text for document in texts.values()))
