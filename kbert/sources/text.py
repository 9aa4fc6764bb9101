"""Reads documents from text files, in which each line is a sentence or a paragraph."""

from __future__ import annotations

from collections.abc import Iterator

from kbert.sources import document as document_
from kbert.sources.document import Document, Reading, composed, has_text, too_large


def read_text(path: str, reading: Reading) -> Iterator[Document]:
    """Yields the documents of a text file, which are separated by blank lines, or are one line each.

    Raises:
        DataError: The file is not in the encoding of `reading`, or a document is larger than LARGEST_DOCUMENT.
    """
    each_line = reading.document_separator == "line"
    nfc = reading.nfc
    lines: list[str] = []
    start, size = 1, 0
    for first, block in reading.line_blocks(path):
        for number, line in enumerate(block, start=first):
            if has_text(line):
                if not lines:
                    start = number
                lines.append(composed(line) if nfc else line)
                size += (len(line) if line.isascii() else len(line.encode("utf-8"))) + 1
                if size > document_.LARGEST_DOCUMENT:
                    raise too_large(
                        path,
                        start,
                        "separate documents by blank lines, or treat each line as one (--document-separator line)",
                    )
                if not each_line:
                    continue
            if lines:
                yield Document(tuple(lines), path, start, size)
                lines, size = [], 0
    if lines:
        yield Document(tuple(lines), path, start, size)
