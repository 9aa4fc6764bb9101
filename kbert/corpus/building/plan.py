"""Which documents are of which chunk, found out without keeping their text.

So the work can be given to other machines, each of which reads its chunks itself, and the chunks have the numbers (and
hence all that is random in them) that they have when one machine goes through the text.
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
"""Where the documents of a chunk are: one range, or one of each part that it reaches into."""


def to_json(plan: ChunkPlan) -> str:
    """A plan as one line."""
    return json.dumps([dataclasses.astuple(found) for found in plan])


def from_json(line: str | bytes) -> ChunkPlan:
    """The plan that a line holds."""
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
    """Goes through a source once (with `deduplicate` twice); yields the chunks of `chunk_documents` as ranges.

    Args:
        source: The text.
        size: As of `chunk_documents`.
        least: As of `chunk_documents`.
        scanned: Told of the bytes of text that are planned.
        hashed: Told of the bytes of text that were looked through for duplicates.

    Raises:
        DataError: The text cannot be read, or holds fewer than `least` documents.
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
    # What comes again as a whole has no place.
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
