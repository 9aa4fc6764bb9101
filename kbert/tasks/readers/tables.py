"""Reads some columns of tables: CSV, TSV, JSON lines, Parquet, Excel, data sets by name, tables in memory."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from kbert import files
from kbert.errors import DataError, UsageError, shown
from kbert.sources.bad_rows import BadRows
from kbert.sources.delimited import check_delimiter, delimiter_of, split_rows
from kbert.sources.excel import read_cells
from kbert.sources.rows import read_objects
from kbert.sources.table_format import TableFormat, check_there, file_kind
from kbert.tasks.readers.annotators import UNFINISHED, is_rejected
from kbert.tasks.readers.passages import passage_text

COLUMN_NUMBERS = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*")
"""Columns that are named by their 1-based numbers, such as "2", "2,3" or "3-6"."""
_ROWS_FOR_KEYS = 100
"""The number of rows of JSON in whose keys columns are looked for."""
_MISSING = object()
"""Stands for the value of a key that an object does not have."""


@dataclasses.dataclass(frozen=True)
class Row:
    """Some columns of a row.

    Args:
        values: The texts by the names in `columns` of `read_table`; for names in `lists`, also lists of texts.
        line: The 1-based line where the row starts.
    """

    values: dict[str, Any]
    line: int


def read_table(
    path: files.PathLike,
    columns: Mapping[str, str],
    *,
    form: TableFormat | None = None,
    lists: Collection[str] = (),
    list_values: Collection[str] = (),
    accepted: bool = False,
    bad: BadRows | None = None,
    flags: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Row]:
    """Yields some columns of each row of a table.

    Args:
        path: A .csv, .tsv or .jsonl file, which may be compressed; a file with any suffix, if `form` has a delimiter; a
            Parquet or Excel file; a data set by name; or a table in memory.
        columns: The column of each value. A column is a name in the header (in JSON lines, a key), or, if all columns
            are numbers, a 1-based number in a file without a header. If the rows themselves have names, as in Parquet,
            JSON and data sets, any column may be a number instead (see `named_columns`), and "question.stem" is the key
            "stem" of the object "question". Several columns, such as "title,body", "2,3" or "3-6", are joined with a
            space.
        form: The delimiter, encoding and quoting of the file.
        lists: The names whose columns are not joined. Their value is a list, with "" for missing cells. In JSON lines
            the value of a single key may be a list, too, or an object whose key "text" has the list.
        list_values: The names whose columns are joined, but whose value in JSON lines may be a list. In both cases an
            object of names with 0 or 1 (or false and true) is the list of the names with 1.
        accepted: Whether rows are left out, and counted as repairs, that an annotator rejected or ignored in Prodigy.
        bad: Counts the rows that are skipped. The default allows none.
        flags: The option that names the column of a value, for messages. The default is that of a role, such as
            --text-column for the value "text"; an empty one says that no option names the column.

    Raises:
        UsageError: The file is not a table by its suffix, or names and numbers are mixed.
        DataError: A column does not exist, or a row has too few or too many cells; with file and line.
    """
    bad = bad or BadRows()
    form = form or TableFormat()
    kind = file_kind(path, form)
    if not form.is_table(path):
        raise UsageError(
            f"{path}: expected a table, by its ending: .csv, .tsv, .jsonl, .parquet or .xlsx (and .gz after it); or "
            "name its --delimiter or --format"
        )
    check_there(path)
    if kind == "json":
        yield from _read_json(path, named_columns(path, columns, form), form, lists, list_values, accepted, bad)
        return
    numbered = [column for column in columns.values() if COLUMN_NUMBERS.fullmatch(column)]
    if numbered and len(numbered) != len(columns):
        raise UsageError(
            "columns must be all names, for a file with a header, or all 1-based numbers, for one without. "
            f"Received: {', '.join(columns.values())}"
        )
    rows = _split_rows(path, kind, form, bad)
    if numbered:
        places, width = {name: column_places(column) for name, column in columns.items()}, 0
    else:
        line, header = next(rows, (1, []))
        places, width = _named_places(columns, header, flags, path, line), len(header)
    yield from _rows_of_cells(rows, places, width, lists, path, bad)


def _named_places(
    columns: Mapping[str, str], header: Sequence[str], flags: Mapping[str, str], path: files.PathLike, line: int
) -> dict[str, list[int]]:
    """Returns the indices of the columns of each value, which are named as in the header.

    Raises:
        DataError: There is no header, or a column is missing in it, or is there twice.
    """
    if not header:
        raise DataError("expected a header and rows. The file is empty", path)
    places = {}
    for name, column in columns.items():
        parts = [column] if column in header else column.split(",")
        for part in parts:
            if part not in header:
                raise _no_column(part, header, flags.get(name, f"--{name}-column"), path, line)
            if header.count(part) > 1:
                places_of = ", ".join(str(place) for place, name in enumerate(header, start=1) if name == part)
                raise DataError(
                    f"expected one column {part!r}. The header has it at {places_of}; rename the others", path, line
                )
        places[name] = [header.index(part) for part in parts]
    return places


def _rows_of_cells(
    rows: Iterator[tuple[int, list[str]]],
    places: Mapping[str, Sequence[int]],
    width: int,
    lists: Collection[str],
    path: files.PathLike,
    bad: BadRows,
) -> Iterator[Row]:
    """Yields the values of rows.

    Args:
        rows: The rows, each with the line where it starts.
        places: The indices of the columns of each value.
        width: The number of columns in the header; 0 for a file without a header.
        lists: The names whose columns are not joined.
        path: The file, for messages.
        bad: Counts the rows with too few or too many cells.
    """
    like = "the header" if width else "the first row"
    # The last columns of a list may be missing in some rows.
    ending = {name for name in lists if len(places.get(name, ())) > 1}
    needed = max((place + 1 for name in places if name not in ending for place in places[name]), default=1)
    for line, cells in rows:
        width = width or (0 if ending else len(cells))
        if len(cells) < needed:
            bad.skip(DataError(f"expected at least {needed} columns. Received {len(cells)}", path, line))
        elif width and any(cells[width:]):
            bad.skip(
                DataError(
                    f"expected {width} columns, as in {like}. Received {len(cells)}; a text with the delimiter in it "
                    "must be in quotation marks",
                    path,
                    line,
                )
            )
        else:
            yield Row({name: _value(cells, places[name], name in lists) for name in places}, line)


def has_columns(path: files.PathLike, columns: Mapping[str, str], form: TableFormat) -> bool:
    """Returns whether the first row of a file fits a table with these columns.

    The row must have two cells or more. It must have the names of the columns or, if they are numbers, enough cells.
    """
    header = first_row(path, form)
    if len(header) < 2:
        return False
    if all(COLUMN_NUMBERS.fullmatch(column) for column in columns.values()):
        return all(place < len(header) for column in columns.values() for place in column_places(column))
    return all(column in header or set(column.split(",")) <= set(header) for column in columns.values())


def named_columns(path: files.PathLike, columns: Mapping[str, str], form: TableFormat) -> dict[str, str]:
    """Replaces numbers of columns by their names, if the rows of a file have names (Parquet, JSON, data sets, memory).

    Columns are numbered from 1 in the order of the first row. A column whose name is such a number keeps its name. For
    other files the columns are returned unchanged.

    Args:
        path: The file, data set or table in memory.
        columns: The columns by role; see `read_table`.
        form: The format of the file.

    Raises:
        DataError: There are fewer columns than a number says.
        UsageError: A number is 0, or a range goes down.
    """
    named = dict(columns)
    if not any(COLUMN_NUMBERS.fullmatch(column) for column in columns.values()) or file_kind(path, form) != "json":
        return named
    keys = list(column_names(path, form))
    for role, column in columns.items():
        if column in keys or not COLUMN_NUMBERS.fullmatch(column) or set(column.split(",")) <= set(keys):
            continue
        places = column_places(column)
        if max(places) >= len(keys):
            listed = ", ".join(map(shown, keys[:50]))
            raise DataError(
                f"expected columns from 1 to {len(keys)}, which are {listed}. Received: {column} for {role}", path
            )
        named[role] = ",".join(keys[place] for place in places)
    return named


def _value(cells: Sequence[str], places: Sequence[int], listed: bool) -> str | list[str]:
    values = [cells[place] if place < len(cells) else "" for place in places]
    if len(values) == 1:
        return values[0]
    return values if listed else " ".join(filter(None, values))


def column_places(column: str) -> list[int]:
    """Returns the indices (from 0) of columns such as "2", "2,3" or "3-6" (from 1)."""
    places: list[int] = []
    for part in column.split(","):
        first, _, last = part.partition("-")
        if int(first) < 1:
            raise UsageError(f"column numbers count from 1. Received: {column}")
        if last and int(last) < int(first):
            raise UsageError(f"a range of columns goes from a smaller number to a larger one. Received: {column}")
        places += range(int(first) - 1, int(last or first))
    return places


def _no_column(column: str, header: Sequence[str], flag: str, path: files.PathLike, line: int) -> DataError:
    advice = f"Name another with {flag}, or give 1-based numbers for a file without a header"
    if not flag:
        advice = "Rename the column that holds it"
    if len(header) == 1 and (found := [mark for mark in ";\t,|" if mark in header[0]]):
        advice += f"; if {found[0]!r} stands between columns, name it as the delimiter"
    listed = ", ".join(map(repr, header[:50]))
    return DataError(f"there is no column {column!r}; the header has {listed}. {advice}", path, line)


def first_row(path: files.PathLike, form: TableFormat) -> list[str]:
    """Returns the cells of the first row of a CSV, TSV or Excel file; an empty list if the file is empty."""
    _, cells = next(_split_rows(path, file_kind(path, form), form, BadRows()), (1, []))
    return cells


def column_names(path: files.PathLike, form: TableFormat) -> Collection[str]:
    """Returns the names of the columns of a table; for JSON lines and tables in memory, the keys of the first rows.

    The first row need not have all keys: an optional one, such as that of wrong candidates, may come later.
    """
    if file_kind(path, form) == "json":
        rows = itertools.islice(read_objects(path, form=form, bad=BadRows(1 << 60)), _ROWS_FOR_KEYS)
        return dict.fromkeys(key for _, values in rows for key in values)
    return first_row(path, form) if form.is_table(path) else ()


def _split_rows(path: files.PathLike, kind: str, form: TableFormat, bad: BadRows) -> Iterator[tuple[int, list[str]]]:
    """Yields the rows, each with the line where it starts. The first row is never skipped, as it may be the header.

    Rows of several cells that are all empty, as Excel writes them, are left out.
    """
    if kind == "xlsx":
        yield from read_cells(path)
        return
    usual = "\t" if kind == "tsv" else ","
    delimiter = form.delimiter or delimiter_of(path, usual)
    quoted = form.quoting == "csv" or (form.quoting == "auto" and kind == "csv")
    check_delimiter(delimiter, quoted=quoted)
    begun = False
    for line, cells in split_rows(form.line_blocks(path, bad), delimiter, quoted=quoted, strict=True):
        if isinstance(cells, csv.Error):
            wrong = DataError(
                f"the row is not CSV ({cells}); if quotation marks are text, give --quoting none", path, line
            )
            # A quotation mark that is never closed swallows the rest of the file, which must not be skipped silently.
            if not begun or "unexpected end" in str(cells):
                raise wrong
            bad.skip(wrong)
            continue
        begun = True
        if len(cells) == 1 or any(cells):
            yield line, cells


def _read_json(
    path: files.PathLike,
    columns: Mapping[str, str],
    form: TableFormat,
    lists: Collection[str],
    list_values: Collection[str],
    accepted: bool,
    bad: BadRows,
) -> Iterator[Row]:
    for number, values in read_objects(path, form=form, bad=bad):
        if accepted and is_rejected(values):
            bad.repaired(UNFINISHED, number)
            continue
        try:
            cells: dict[str, Any] = {}
            for name, column in columns.items():
                keys = [column] if column in values or "," not in column else column.split(",")
                if len(keys) == 1:
                    cells[name] = _cell(values, keys[0], name in lists or name in list_values, path, number)
                else:
                    found = [_cell(values, key, name in lists, path, number) for key in keys]
                    texts = [cell for cell in found if isinstance(cell, str)]
                    cells[name] = texts if name in lists else " ".join(filter(None, texts))
        except DataError as problem:
            bad.skip(problem)
        else:
            yield Row(cells, number)


def _cell(values: Mapping[str, Any], column: str, listed: bool, path: files.PathLike, number: int) -> str | list[str]:
    value = _found(values, column)
    if value is _MISSING:
        raise DataError(f"there is no key {column!r}; the object has {', '.join(map(repr, values))}", path, number)
    if listed and isinstance(value, dict) and value and all(each in (0, 1) for each in value.values()):
        return [str(name) for name, chosen in value.items() if chosen]  # {"joy": 1, "anger": 0}
    if listed and isinstance(value, dict) and isinstance(value.get("text"), list):
        value = value["text"]  # {"text": ["east", "west"], "label": ["A", "B"]}
    if listed and isinstance(value, list):
        value = [passage_text(each) for each in value]
    if listed and isinstance(value, list) and not any(_is_no_text(part) for part in value):
        return [_as_text(part) for part in value]
    if _is_no_text(value):
        wanted = "text, a number, or a list of them" if listed else "text or a number"
        raise DataError(f"{column!r} must be {wanted}. Received: {shown(value)}", path, number)
    return _as_text(value)


def _found(values: Mapping[str, Any], column: str) -> Any:
    """Returns the value of a key, or, for keys such as "question.stem", of a key in an object; else _MISSING."""
    if column in values:
        return values[column]
    outer, dot, inner = column.partition(".")
    within = values.get(outer)
    return _found(within, inner) if dot and isinstance(within, dict) else _MISSING


def _is_no_text(value: Any) -> bool:
    """Returns whether a JSON value is neither a text nor a number: a list, an object, null, or NaN for null."""
    return value is None or isinstance(value, (dict, list)) or value != value


def _as_text(value: str | int | float | bool) -> str:
    return value if isinstance(value, str) else json.dumps(value)
