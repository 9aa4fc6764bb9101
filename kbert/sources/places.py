"""Where documents are, in numbers small enough to be sent about instead of their text."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from kbert.files import LineStart


class Place(NamedTuple):
    """Where a document is.

    Args:
        part: The number of the source's part.
        ordinal: How many documents of the part stand before it, repeated ones too.
        path: The file or dataset.
        line: The 1-based line (or row) where it starts.
        size: Bytes of UTF-8, line ends included; of what is left of it.
        block: The start of a block of lines before it, if the part has lines.
        repeated: The places of its lines that are left out as repeated.
    """

    part: int
    ordinal: int
    path: str
    line: int
    size: int
    block: LineStart | None
    repeated: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class DocumentRange:
    """Documents of one part that follow each other.

    Args:
        part: The number of the source's part.
        first: How many documents of the part stand before them.
        count: How many they are, repeated ones too.
        start: Where the first one begins; None where reading cannot begin there.
        repeated: (ordinal, lines) of the documents that lines are left out of; None for all lines.
    """

    part: int
    first: int
    count: int
    start: LineStart | None
    repeated: tuple[tuple[int, tuple[int, ...] | None], ...] = ()
