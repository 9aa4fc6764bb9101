"""Groups documents into chunks, the units of work of a build."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from kbert.errors import DataError
from kbert.sources.document import Document
from kbert.sources.places import Place

Placed = TypeVar("Placed", Document, Place)


def chunk_documents(documents: Iterable[Placed], size: int, *, least: int = 2) -> Iterator[list[Placed]]:
    """Groups documents or their places, in order, into chunks.

    A chunk is the unit of work: the random second text of a pair is drawn from another document of the same chunk. If
    the documents left over at the end are less than a quarter of a chunk, they join the last chunk.

    Args:
        documents: The documents, or their places.
        size: The approximate size of a chunk in bytes.
        least: The minimum number of documents per chunk.

    Raises:
        DataError: There are fewer than `least` documents.
    """
    held: list[Placed] = []
    growing: list[Placed] = []
    grown = 0
    for document in documents:
        growing.append(document)
        grown += document.size
        if grown >= size and len(growing) >= least:
            if held:
                yield held
            held, growing, grown = growing, [], 0
    if not held and not growing:
        raise DataError(
            f"expected at least {'two documents' if least > 1 else 'one document'}. The input holds no text"
        )
    if growing and held and (len(growing) < least or grown < size / 4):
        held, growing = held + growing, []
    for chunk in (held, growing):
        if len(chunk) == 1 and least > 1:
            raise DataError(
                "expected at least two documents, since the random next text comes from another one. Received a "
                "single document; separate documents by blank lines, or say that each line is one "
                "(--document-separator line)",
                chunk[0].path,
                chunk[0].line,
            )
        if chunk:
            yield chunk
