"""Files as records, whose texts can be replaced: lines of text, rows of a table, and JSON values.

Messages of this module quote nothing of a file except the names of columns, since it can hold personal data.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from kbert import files
from kbert.errors import DataError, UsageError
from kbert.sources.delimited import check_delimiter, delimiter_of, split_rows
from kbert.sources.json_values import array_elements, is_array, parse
from kbert.sources.table_format import TableFormat, row_kind

Written = Callable[[Sequence[str]], str]
"""A function that returns the record as a line of the output, with other texts in place of its texts."""


@dataclasses.dataclass(frozen=True)
class MaskableRecord:
    """A line, a row or a JSON value.

    Args:
        texts: The texts to mask.
        written: Returns the record with other texts, with its line end.
    """

    texts: Sequence[str]
    written: Written


def read_records(path: files.PathLike, form: TableFormat, columns: Sequence[str]) -> Iterator[MaskableRecord]:
    """Yields the records of a file.

    Args:
        path: The file.
        form: The format of the file.
        columns: The columns or fields whose texts are masked; empty for all.

    Raises:
        UsageError: The file has a format that cannot be written, or is text although columns are given.
        DataError: A line is invalid, or a column is missing.
    """
    kind = row_kind(path, form)
    if kind in ("text", "wikiextractor"):
        if columns:
            raise UsageError(
                f"{path}: expected a table or JSON lines, since --column is given. Received: text; leave --column out, "
                "or name the --format of the file"
            )
        for line in form.lines(path):
            yield MaskableRecord([line], lambda texts: texts[0] + "\n")
    elif kind == "jsonl":
        yield from _json_records(path, form, columns)
    elif kind in ("csv", "tsv"):
        yield from _rows(path, form, columns, kind)
    else:
        raise UsageError(
            f"{path}: expected text, JSON lines, CSV or TSV. Received: {kind}; save the table as CSV or "
            "JSON lines first"
        )


def _rows(path: files.PathLike, form: TableFormat, columns: Sequence[str], kind: str) -> Iterator[MaskableRecord]:
    delimiter = form.delimiter or delimiter_of(path, "," if kind == "csv" else "\t")
    quoted = form.quoting == "csv" or (form.quoting == "auto" and kind == "csv")
    check_delimiter(delimiter, quoted=quoted)

    def line_of(cells: Sequence[str]) -> str:
        if not quoted:
            return delimiter.join(cells) + "\n"
        line = io.StringIO()
        csv.writer(line, delimiter=delimiter, lineterminator="\n").writerow(cells)
        return line.getvalue()

    chosen: list[int] | None = None
    width = 0
    for number, row in split_rows(form.line_blocks(path), delimiter, quoted=quoted, strict=False):
        if isinstance(row, csv.Error):
            raise DataError(
                f"expected a row of a table. Received an invalid row: {row}; if quotation marks are text, give "
                "--quoting none",
                path,
                number,
            )
        if chosen is None:
            width = len(row)
            chosen, has_header = _chosen(row, columns, path, number)
            if has_header:
                yield MaskableRecord([], lambda texts, row=row: line_of(row))  # type: ignore[misc]
                continue
        if columns and len(row) != width:
            raise DataError(
                f"expected {width} cells, as in the first row. Received {len(row)}; enclose cells that hold the "
                "delimiter in quotation marks, or name the --delimiter",
                path,
                number,
            )
        places = chosen if columns else range(len(row))
        yield MaskableRecord([row[place] for place in places], _replacing(row, places, line_of))


def _replacing(row: Sequence[str], places: Sequence[int], line_of: Callable[[Sequence[str]], str]) -> Written:
    def written(texts: Sequence[str]) -> str:
        cells = list(row)
        for place, text in zip(places, texts, strict=True):
            cells[place] = text
        return line_of(cells)

    return written


def _chosen(first: Sequence[str], columns: Sequence[str], path: files.PathLike, number: int) -> tuple[list[int], bool]:
    """Returns the places of the columns, and whether the first row has the names of the columns."""
    by_name = [column in first for column in columns]
    places = []
    for column, is_name in zip(columns, by_name, strict=True):
        if is_name:
            places.append(first.index(column))
        elif column.isdecimal() and 1 <= int(column) <= len(first):
            places.append(int(column) - 1)
        else:
            # Without a header, the first row can hold personal data.
            raise DataError(
                f"expected a column {column!r}. Received {len(first)} columns without this name; give the name of a "
                f"column in the first row, or its number from 1 to {len(first)}, with --column",
                path,
                number,
            )
    return places, any(by_name)


def _json_records(path: files.PathLike, form: TableFormat, columns: Sequence[str]) -> Iterator[MaskableRecord]:
    lines: Iterator[tuple[int, str]]
    lines = array_elements(path, form.line_blocks(path)) if is_array(path) else form.numbered_lines(path)
    seen: set[str] = set()
    for number, line in lines:
        if not line.strip():
            continue
        try:
            value = parse(line)
        except (ValueError, RecursionError) as problem:
            raise DataError(f"expected a JSON value a line ({problem})", path, number) from None
        places: list[_Place] = []
        if columns:
            for column in columns:
                found = _field(value, column)
                seen.update([column] if found else [])
                places += [each for place in found for each in _texts(*place, numbers=True)]
        else:
            value = [value]
            places = list(_texts(value, 0, numbers=False))
        yield MaskableRecord([str(holder[key]) for holder, key in places], _in_json(value, places, bool(columns)))
    missing = [column for column in columns if column not in seen]
    if missing:
        raise DataError(
            f"expected a field {missing[0]!r}. Received objects without it; name the fields to mask with --column", path
        )


_Place = tuple[Any, Any]
"""A list or a dict, and the index or the key of a value in it."""


def _field(value: Any, name: str) -> list[_Place]:
    """Returns the place of a field; "a.b" is field b of field a, unless a field is named "a.b"."""
    if not isinstance(value, dict):
        return []
    if name in value:
        return [(value, name)]
    first, _, rest = name.partition(".")
    return _field(value.get(first), rest) if rest else []


def _texts(holder: Any, key: Any, *, numbers: bool) -> Iterator[_Place]:
    """Yields the places of the texts in a value at any depth, and with `numbers` also those of numbers."""
    value = holder[key]
    if isinstance(value, dict):
        for inner in value:
            yield from _texts(value, inner, numbers=numbers)
    elif isinstance(value, list):
        for inner in range(len(value)):
            yield from _texts(value, inner, numbers=numbers)
    elif isinstance(value, str) or (numbers and isinstance(value, int | float) and not isinstance(value, bool)):
        yield holder, key


def _in_json(value: Any, places: Sequence[_Place], whole: bool) -> Written:
    def written(texts: Sequence[str]) -> str:
        for (holder, key), text in zip(places, texts, strict=True):
            if str(holder[key]) != text:  # a number that is no personal data stays a number
                holder[key] = text
        return json.dumps(value if whole else value[0], ensure_ascii=False) + "\n"

    return written
