"""Rows of CSV, TSV and JSON lines files, each with the line it is in."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kbert import files
from kbert.errors import DataError, UsageError
from kbert.tasks.bad_rows import BadRows

JSON_ENDINGS = (".jsonl", ".ndjson", ".json")
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst")


@dataclasses.dataclass(frozen=True)
class Row:
    """Some columns of a row.

    Args:
        values: Text by the name it is asked for with.
        line: The 1-based line where the row starts.
    """

    values: dict[str, str]
    line: int


def file_kind(path: files.PathLike) -> str:
    """The kind of a table by its ending: "csv", "tsv", "json" or "text"; of compressed files by the ending before."""
    name = Path(path)
    ending = Path(name.stem).suffix if name.suffix.lower() in _COMPRESSED else name.suffix
    ending = ending.lower()
    if ending in JSON_ENDINGS:
        return "json"
    return {".csv": "csv", ".tsv": "tsv"}.get(ending, "text")


def read_table(path: files.PathLike, columns: Mapping[str, str], *, bad: BadRows | None = None) -> Iterator[Row]:
    """Reads some columns of a table.

    CSV files are quoted as RFC 4180 says. In TSV files quotation marks are text. JSON lines hold an object each.

    Args:
        path: A .csv, .tsv or .jsonl file, compressed or not.
        columns: The column of each value: its name in the header, or, when all are numbers, its 1-based place in
            a file without a header.
        bad: Takes rows that cannot be read.

    Raises:
        UsageError: The file's ending says no kind of table, or names and numbers are mixed.
        DataError: A column does not exist, or a row is too short; with file and line.
    """
    bad = bad or BadRows()
    kind = file_kind(path)
    if kind == "text":
        raise UsageError(f"{path}: expected a table, by its ending: .csv, .tsv or .jsonl (and .gz after it)")
    if not Path(path).is_file():
        raise UsageError(f"{path}: no such file")
    if kind == "json":
        yield from _read_json(path, columns, bad)
        return
    numbered = [name for name in columns.values() if name.isdecimal()]
    if numbered and len(numbered) != len(columns):
        raise UsageError(
            "columns must be all names, for a file with a header, or all 1-based numbers, for one without. "
            f"Received: {', '.join(columns.values())}"
        )
    rows = _split_rows(path, kind)
    if numbered:
        places = {name: int(place) - 1 for name, place in columns.items()}
        if min(places.values()) < 0:
            raise UsageError("column numbers count from 1. Received: 0")
    else:
        header_line, header = next(rows, (1, []))
        if not header:
            raise DataError("expected a header and rows. The file is empty", path)
        for column in columns.values():
            if column not in header:
                raise DataError(
                    f"there is no column {column!r}; the header has {', '.join(map(repr, header))}. Name another, or "
                    "give 1-based numbers for a file without a header",
                    path,
                    header_line,
                )
        places = {name: header.index(column) for name, column in columns.items()}
    needed = max(places.values()) + 1
    for line, cells in rows:
        if len(cells) < needed:
            bad.skip(DataError(f"expected at least {needed} columns. Received {len(cells)}", path, line))
            continue
        yield Row({name: cells[place] for name, place in places.items()}, line)


def _split_rows(path: files.PathLike, kind: str) -> Iterator[tuple[int, list[str]]]:
    if kind == "tsv":
        for number, text in enumerate(files.read_lines(path), start=1):
            if text:
                yield number, text.split("\t")
        return
    csv.field_size_limit(2**31 - 1)  # texts may be longer than the 131,072 characters it is at first
    reader = csv.reader((line + "\n" for line in files.read_lines(path)), strict=True)
    line = 1
    try:
        for cells in reader:
            if cells:
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as problem:
        raise DataError(f"the row is not CSV ({problem})", path, line) from None


def _read_json(path: files.PathLike, columns: Mapping[str, str], bad: BadRows) -> Iterator[Row]:
    for number, values in read_objects(path, bad=bad):
        try:
            yield Row({name: _cell(values, column, path, number) for name, column in columns.items()}, number)
        except DataError as problem:
            bad.skip(problem)


def read_objects(path: files.PathLike, *, bad: BadRows | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields the line and the object of each line of a JSON lines file; empty lines are left out.

    Raises:
        DataError: A line is no JSON object; with file and line.
    """
    bad = bad or BadRows()
    for number, line in enumerate(files.read_lines(path), start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as problem:
            bad.skip(DataError(f"expected a JSON object a line ({problem})", path, number))
            continue
        if isinstance(values, dict):
            yield number, values
        else:
            bad.skip(DataError(f"expected a JSON object a line. Received {type(values).__name__}", path, number))


def _cell(values: Mapping[str, Any], column: str, path: files.PathLike, number: int) -> str:
    if column not in values:
        raise DataError(f"there is no key {column!r}; the object has {', '.join(map(repr, values))}", path, number)
    if isinstance(values[column], (dict, list)) or values[column] is None:
        raise DataError(f"{column!r} must be text or a number. Received: {values[column]!r}", path, number)
    return _as_text(values[column])


def _as_text(value: str | int | float | bool) -> str:
    return value if isinstance(value, str) else json.dumps(value)
