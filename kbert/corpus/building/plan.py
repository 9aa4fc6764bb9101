"""Plans which documents belong to which chunk, without keeping their text.

The plan lets other machines read and build their chunks by themselves. The chunks get the same numbers, and so the
same random choices, as in a build on one machine.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterator, Sequence
from operator import attrgetter

from kbert import files
from kbert.corpus.building.grouping import chunk_documents
from kbert.sources.places import DocumentRange, Place
from kbert.sources.source import Progress, Source

ChunkPlan = list[DocumentRange]
"""The ranges of the documents of a chunk, one for each part of the source that the chunk extends over."""


def to_json(plan: ChunkPlan) -> str:
    """Returns a plan as a line of JSON."""
    return json.dumps([dataclasses.astuple(found) for found in plan])


def from_json(line: str | bytes) -> ChunkPlan:
    """Parses a line that `to_json` wrote."""
    return [
        DocumentRange(
            part,
            first,
            count,
            files.LineStart(*start) if start else None,
            tuple((ordinal, None if lines is None else tuple(lines)) for ordinal, lines in repeated),
        )
        for part, first, count, start, repeated in json.loads(line)
    ]


def plan_chunks(
    source: Source, size: int, *, least: int, scanned: Progress | None = None, hashed: Progress | None = None
) -> Iterator[ChunkPlan]:
    """Reads a source once (twice with `deduplicate`), and yields the chunks of `chunk_documents` as ranges.

    Args:
        source: The source of the documents.
        size: The approximate size of a chunk in bytes.
        least: The minimum number of documents per chunk.
        scanned: A function that is called with the bytes of text planned so far.
        hashed: A function that is called with the bytes of text searched for duplicates so far.

    Raises:
        DataError: The text is unreadable, or contains fewer than `least` documents.
    """
    done = 0
    for chunk in chunk_documents(source.places(progress=hashed), size, least=least):
        yield [_range(source, list(places)) for _, places in itertools.groupby(chunk, attrgetter("part"))]
        done += sum(place.size for place in chunk)
        if scanned:
            scanned(done)


def _range(source: Source, places: Sequence[Place]) -> DocumentRange:
    first, last = places[0], places[-1]
    kept = {place.ordinal: place.repeated for place in places}
    # A document that is repeated as a whole has no place.
    repeated = ((ordinal, kept.get(ordinal)) for ordinal in range(first.ordinal, last.ordinal + 1))
    start = None
    if first.block and source.is_seekable(first.part):
        start = files.line_start(first.path, first.block, first.line)
    return DocumentRange(
        first.part,
        first.ordinal,
        last.ordinal - first.ordinal + 1,
        start,
        tuple((ordinal, lines) for ordinal, lines in repeated if lines is None or lines),
    )
