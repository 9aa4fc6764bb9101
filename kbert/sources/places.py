"""Places of documents: small descriptions that are passed between processes instead of the text."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from kbert.files import LineStart


class Place(NamedTuple):
    """The place of a document.

    Args:
        part: The index of the part in the source.
        ordinal: The 0-based number of the document in the part, counting repeated documents.
        path: The file or dataset.
        line: The 1-based line (or row) where the document starts.
        size: The number of bytes in UTF-8, including line ends, without lines that are left out.
        block: The start of a block of lines at or before the document; None if the part does not have lines.
        repeated: The indices of the lines that are left out because they are repeated.
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
    """Consecutive documents of a part.

    Args:
        part: The index of the part in the source.
        first: The 0-based number of the first document in the part.
        count: The number of documents, including repeated ones.
        start: The line where the first document begins; None if the part must be read from the beginning.
        repeated: (ordinal, lines) of each document with lines that are left out; None in place of lines means that the
            whole document is left out.
    """

    part: int
    first: int
    count: int
    start: LineStart | None
    repeated: tuple[tuple[int, tuple[int, ...] | None], ...] = ()
