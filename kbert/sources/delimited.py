"""Documents of CSV and TSV files: a row each, its text in one column."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from kbert.errors import DataError
from kbert.sources import document as document_
from kbert.sources.document import Document, Reading, too_large


def read_csv(path: str, reading: Reading) -> Iterator[Document]:
    """Streams the rows of a CSV file; quotation marks enclose cells, as RFC 4180 says, which may hold line ends.

    Raises:
        DataError: There is no such column, a row has other cells than the first one, or a quotation mark is missing.
    """
    return _read(path, reading, ",", csv.QUOTE_MINIMAL)


def read_tsv(path: str, reading: Reading) -> Iterator[Document]:
    """Streams the rows of a TSV file; quotation marks are text.

    Raises:
        DataError: There is no such column, or a row has other cells than the first one.
    """
    return _read(path, reading, "\t", csv.QUOTE_NONE)


def _read(path: str, reading: Reading, delimiter: str, quoting: int) -> Iterator[Document]:
    csv.field_size_limit(document_.LARGEST_DOCUMENT)  # of the process; it is 131,072 characters at first
    start = 0  # the line that the row began with; 0 before it

    def lines() -> Iterator[str]:
        nonlocal start
        for first, block in reading.line_blocks(path):
            for number, line in enumerate(block, start=first):
                start = start or number
                yield line + "\n"

    rows = csv.reader(lines(), delimiter=delimiter, quoting=quoting)  # type: ignore[arg-type]
    column = cells = 0
    while True:
        start = 0
        try:
            row = next(rows, None)
        except csv.Error as problem:
            if "field larger" not in str(problem):
                raise DataError(f"expected a row of a table. It cannot be read: {problem}", path, start) from None
            raise too_large(path, start, "is a quotation mark missing?") from None
        if row is None:
            return
        if row and not cells:
            cells = len(row)
            column, has_header = _column(row, reading.text_field, path, start)
            row = [] if has_header else row
        if row:
            if len(row) != cells:
                raise DataError(
                    f"expected {cells} cells, as in the first row. Received {len(row)}; enclose cells that hold the "
                    "delimiter or line ends in quotation marks, or say what the file is with --format",
                    path,
                    start,
                )
            document = reading.document(row[column], path, start)
            if document:
                yield document


def _column(first: list[str], field: str, path: str, line: int) -> tuple[int, bool]:
    """The place of the column with the text, and whether the first row has the names."""
    if field in first:
        return first.index(field), True
    if field.isdecimal() and 1 <= int(field) <= len(first):
        return int(field) - 1, False
    found = ", ".join(repr(name[:30]) for name in first[:10]) + (", …" if len(first) > 10 else "")
    raise DataError(
        f"expected a column {field!r} with the text. Received the columns {found}; name the column with --text-field "
        f"(of a file without names by its number, as --text-field {len(first)}), or say --format text",
        path,
        line,
    )
