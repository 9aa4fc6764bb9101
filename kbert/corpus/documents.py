"""Documents, streamed from text files, and the chunks of them that are worked on together."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path

from kbert import files
from kbert.errors import DataError

SEPARATORS = ("blank-line", "line")
"""What ends a document beside the end of its file."""

LARGEST_DOCUMENT = 32 << 20
"""Bytes; a document is held whole, so this bounds memory."""


@dataclasses.dataclass(frozen=True)
class Document:
    """Lines of text that belong together.

    Args:
        lines: Its lines, none of them blank: sentences or paragraphs.
        path: The file it is in.
        line: The 1-based line where it starts.
        size: Bytes of UTF-8, line ends included.
    """

    lines: tuple[str, ...]
    path: str
    line: int
    size: int


def read_documents(paths: Iterable[Path], separator: str = "blank-line") -> Iterator[Document]:
    """Streams the documents of text files, one held at a time.

    Args:
        paths: Text files, compressed or not.
        separator: "blank-line" when blank lines stand between documents, "line" when each line is a document.

    Raises:
        DataError: A file is not UTF-8, or a document is larger than LARGEST_DOCUMENT.
    """
    for path in paths:
        lines: list[str] = []
        start, size = 1, 0
        for number, line in enumerate(files.read_lines(path), start=1):
            if line and not line.isspace():
                if not lines:
                    start = number
                lines.append(line)
                size += len(line.encode("utf-8")) + 1
                if size > LARGEST_DOCUMENT:
                    raise DataError(
                        f"expected documents of at most {LARGEST_DOCUMENT >> 20} MiB, blank lines between them. "
                        f"The one that starts here is larger; separate documents by blank lines, or say that each line "
                        "is one (--document-separator line)",
                        path,
                        start,
                    )
                if separator != "line":
                    continue
            if lines:
                yield Document(tuple(lines), str(path), start, size)
                lines, size = [], 0
        if lines:
            yield Document(tuple(lines), str(path), start, size)


def chunk_documents(documents: Iterable[Document], size: int, *, least: int = 2) -> Iterator[list[Document]]:
    """Groups documents, in order, to chunks of about `size` bytes and at least `least` documents.

    A chunk is the unit of work: the random second text of a pair is drawn from another document of its chunk. What is
    left over at the end joins the last chunk when it is less than half of one.

    Raises:
        DataError: There are fewer than `least` documents.
    """
    held: list[Document] = []
    growing: list[Document] = []
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
    if growing and held and (len(growing) < least or grown < size / 2):
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
