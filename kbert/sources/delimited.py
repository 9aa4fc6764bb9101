"""Reads rows of cells from CSV and TSV files, and converts rows to documents, whose text is in one of the columns."""

from __future__ import annotations

import csv
import functools
import itertools
import logging
import re
from collections.abc import Iterable, Iterator, Sequence

from kbert import files
from kbert.errors import DataError, UsageError
from kbert.runtime.csv_limit import next_row
from kbert.sources import document as document_
from kbert.sources.document import Document, Reading, too_large

_LOG = logging.getLogger("kbert")
_EXCEL_MARK = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
_GUESSED = ";\t|"
_UNCLOSED = "unexpected end of data"
"""The message of Python's csv module about a quotation mark that is never closed."""


def split_rows(
    blocks: Iterable[tuple[int, list[str]]], delimiter: str, *, quoted: bool, strict: bool
) -> Iterator[tuple[int, list[str] | csv.Error]]:
    """Splits lines into cells. All CSV and TSV files are read by this function.

    Empty lines are skipped, and so is a first line such as "sep=;", which Excel writes. If quoted cells follow spaces,
    as in `1, "a, b"`, spaces at the beginning of cells are left out.

    Args:
        blocks: The lines of the file, as `kbert.files.read_line_blocks` yields them.
        delimiter: The delimiter between cells.
        quoted: Whether quotation marks enclose cells (RFC 4180), which can then contain line ends. Otherwise they are
            text.
        strict: Whether text after a closing quotation mark is an error.

    Yields:
        The 1-based line where a row begins, and its cells, or an error. After an error, the next row can be read. A
        quotation mark that is not closed before the end of the file is the error "unexpected end of data".
    """
    if not quoted:
        for first, lines in blocks:
            for number, line in enumerate(lines, start=first):
                if line and not (number == 1 and _EXCEL_MARK.fullmatch(line)):
                    yield number, line.split(delimiter)
        return
    start = 0  # the line where the current row begins; 0 between rows
    ended = False
    blocks = iter(blocks)
    head = next(blocks, (1, []))
    # A quotation mark behind a delimiter and spaces begins a cell, unless it ends one that ends so, or is doubled.
    mark = re.escape(delimiter)
    spaced = re.compile(rf'{mark} +"(?!"|{mark}|\r?$)', re.MULTILINE).search("\n".join(head[1]))

    def numbered() -> Iterator[str]:
        nonlocal start, ended
        for first, block in itertools.chain([head], blocks):
            for number, line in enumerate(block, start=first):
                if number == 1 and _EXCEL_MARK.fullmatch(line):
                    continue
                start = start or number
                yield line + "\n"
        ended = True

    rows = csv.reader(numbered(), delimiter=delimiter, strict=strict, skipinitialspace=spaced is not None)
    while True:
        start = 0
        try:
            cells = next_row(rows, document_.LARGEST_DOCUMENT)
        except StopIteration:
            return
        except csv.Error as problem:
            yield start, problem
            continue
        if ended:  # the row went on behind the last line; without `strict`, the reader does not say so
            yield start, csv.Error(_UNCLOSED)
        elif cells:
            yield start, cells


def check_delimiter(delimiter: str, *, quoted: bool) -> None:
    """Checks that the cells of a table can be told apart.

    Args:
        delimiter: The delimiter between cells.
        quoted: Whether quotation marks enclose cells.

    Raises:
        UsageError: The delimiter has several characters although quotation marks enclose cells.
    """
    if quoted and len(delimiter) > 1:
        raise UsageError(
            f"beside quotation marks the delimiter must be one character. Received: {delimiter!r}; if the marks are "
            "text, give --quoting none"
        )


def delimiter_of(path: files.PathLike, usual: str) -> str:
    """Returns the delimiter of a table if the user has not named one.

    A first line such as "sep=;", which Excel writes, names the delimiter. Otherwise, the delimiter is `usual`, unless
    the first line does not contain it, and contains another delimiter (;, a tab or |) as often as all the following
    lines do, as in countries where the decimal mark is a comma.

    Args:
        path: The file.
        usual: The delimiter that belongs to the file's suffix.
    """
    head = files.text_head(path, 1 << 16).decode("utf-8", "replace")
    lines = [line.rstrip("\r") for line in head.split("\n")]
    if len(head) > 1 << 15:
        lines.pop()  # possibly incomplete
    mark = _EXCEL_MARK.fullmatch(lines[0]) if lines else None
    if mark:
        return mark[1]
    lines = [line for line in lines if line.strip()]
    # A cell in quotation marks can contain delimiters and line ends. Marks that are text are not in pairs, so that a
    # pair can span several rows; therefore pairs are looked for in each line first, and then in the whole beginning.
    for some in (_without_quoted(line) for line in lines), iter(_without_quoted("\n".join(lines)).split("\n")):
        found = _constant_delimiter(list(itertools.islice(some, 20)), usual)
        if found is not None:
            break
    if found is not None and found != usual:
        _tell_delimiter(str(path), found)
    return found or usual


def _without_quoted(text: str) -> str:
    """Returns a text without what is in quotation marks; the marks stay, so that a quoted cell is not empty."""
    return re.sub(r'"[^"]*"', '""', text)


def _constant_delimiter(lines: Sequence[str], usual: str) -> str | None:
    """Returns the usual delimiter if the first line has it, else another one that all lines have equally often.

    The result is None if there is neither.
    """
    if len(lines) < 2 or usual in lines[0]:
        return usual
    for each in _GUESSED:
        counts = {line.count(each) for line in lines if line.strip(each)}  # rows of empty cells can have any width
        if each in lines[0] and len(counts) == 1:
            return each
    return None


@functools.lru_cache(maxsize=1024)  # a file is read several times, but the message is needed once
def _tell_delimiter(path: str, delimiter: str) -> None:
    _LOG.info("%s: the delimiter is %r (--delimiter sets another)", path, delimiter)


def read_csv(path: str, reading: Reading) -> Iterator[Document]:
    """Yields the documents of a CSV file. Quotation marks enclose cells (RFC 4180), which can contain line ends.

    Raises:
        DataError: The column is missing, a row has another number of cells than the first, or a quotation mark is
            missing.
    """
    return _read(path, reading, ",", reading.quoting != "none")


def read_tsv(path: str, reading: Reading) -> Iterator[Document]:
    """Yields the documents of a TSV file. Quotation marks are text.

    Raises:
        DataError: The column is missing, or a row has another number of cells than the first.
    """
    return _read(path, reading, "\t", reading.quoting == "csv")


def _read(path: str, reading: Reading, usual: str, quoted: bool) -> Iterator[Document]:
    delimiter = reading.delimiter or delimiter_of(path, usual)
    rows = split_rows(reading.line_blocks(path), delimiter, quoted=quoted, strict=False)
    return documents_of_cells(rows, path, reading)


def documents_of_cells(
    rows: Iterable[tuple[int, list[str] | csv.Error]], path: str, reading: Reading
) -> Iterator[Document]:
    """Yields the documents of rows of cells. The first row can contain the names of the columns.

    Args:
        rows: The rows, as `split_rows` yields them.
        path: The file that documents and error messages name.
        reading: The settings for reading documents.

    Raises:
        DataError: The column is missing, or a row is invalid.
    """
    column = cells = 0
    for start, row in rows:
        if isinstance(row, csv.Error):
            if "field larger" in str(row):
                raise too_large(path, start, "is a quotation mark missing?")
            if _UNCLOSED in str(row):  # the row swallows the rest of the file, which must not be skipped silently
                raise DataError(
                    "expected a quotation mark that ends the cell. Received the end of the file; add the mark, or give "
                    "--quoting none if quotation marks are text",
                    path,
                    start,
                )
            reading.bad_row(DataError(f"expected a row of a table. Received an invalid row: {row}", path, start))
            continue
        if not cells:
            cells = len(row)
            column, has_header = _column(row, reading.text_field, path, start)
            if has_header:
                continue
        if len(row) != cells:
            if any(row):  # Excel writes rows of empty cells
                reading.bad_row(
                    DataError(
                        f"expected {cells} cells, as in the first row. Received {len(row)}; enclose cells that hold "
                        "the delimiter or line ends in quotation marks, or name the format of the file with --format",
                        path,
                        start,
                    )
                )
            continue
        document = reading.document(row[column], path, start)
        if document:
            yield document


def _column(first: list[str], field: str, path: str, line: int) -> tuple[int, bool]:
    """Returns the index of the column with the text, and whether the first row contains the names of the columns."""
    if field in first:
        return first.index(field), True
    if field.isdecimal() and 1 <= int(field) <= len(first):
        return int(field) - 1, False
    found = ", ".join(repr(name[:30]) for name in first[:10]) + (", …" if len(first) > 10 else "")
    raise DataError(
        f"expected a column {field!r} with the text. Received the columns {found}; name the column with --text-field "
        f"(in a file without column names, by its number, such as --text-field {len(first)}), or use --format text",
        path,
        line,
    )
