"""Reads rows with typed values from JSON files, Parquet files, datasets by name, and tables in memory.

Rows of text cells are read by `kbert.sources.delimited` and `kbert.sources.excel`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from kbert import files
from kbert.errors import DataError
from kbert.sources import named_datasets, parquet
from kbert.sources.bad_rows import BadRows
from kbert.sources.json_tables import rows_of_table
from kbert.sources.json_values import array_elements, is_array, parse
from kbert.sources.memory_table import MemoryTable, plain_cell
from kbert.sources.table_format import TableFormat, row_kind


def read_objects(
    path: files.PathLike, *, form: TableFormat | None = None, bad: BadRows | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields the rows of a file, each as (1-based line or row number, values by column).

    Args:
        path: A file of JSON lines, a JSON array, a table that is a single JSON object (kbert.sources.json_tables), a
            Parquet file, "hf-datasets:NAME", "tfds:NAME", or a table in memory. Missing values become "", except null
            in JSON, which becomes None.
        form: The format of the file; None detects it.
        bad: Counts invalid rows; None raises an error for the first of them.

    Raises:
        DataError: A row is not a JSON object, or the file is unreadable. The error names file and line.
    """
    bad = bad or BadRows()
    for number, value in read_values(path, form=form, bad=bad):
        if isinstance(value, dict):
            yield number, value
        else:
            bad.skip(DataError(f"expected a JSON object a line. Received {type(value).__name__}", path, number))


def read_values(
    path: files.PathLike, *, form: TableFormat | None = None, bad: BadRows | None = None
) -> Iterator[tuple[int, Any]]:
    """Yields rows like `read_objects`, and also JSON values that are not objects.

    Args:
        path: The file, dataset or table; see `read_objects`.
        form: The format of the file; None detects it.
        bad: Counts invalid rows; None raises an error for the first of them.

    Raises:
        DataError: A line is not valid JSON, or the file is unreadable. The error names file and line.
    """
    if isinstance(path, MemoryTable):
        yield from path.numbered_rows()
        return
    form, bad = form or TableFormat(), bad or BadRows()
    kind = row_kind(path, form)
    if kind in ("parquet", "dataset"):
        name = os.fspath(path)
        rows = parquet.read_rows(name) if kind == "parquet" else named_datasets.read_rows(name)
        for number, row in enumerate(rows, start=1):
            yield number, {str(column): plain_cell(value) for column, value in row.items()}
        return
    table = None if is_array(path) else _table(path, form)
    if table is not None:
        yield from enumerate(table, start=1)
        return
    lines: Iterator[tuple[int, str]]
    lines = array_elements(path, form.line_blocks(path, bad)) if is_array(path) else form.numbered_lines(path, bad)
    for number, line in lines:
        if not line.strip():
            continue
        try:
            yield number, parse(line)
        except (ValueError, RecursionError) as problem:
            # Such a line begins an object that takes several lines; the rest of the file cannot be read either.
            advice = "; write each object in a line of its own, as `jq -c .` does" if line.strip() == "{" else ""
            bad.skip(DataError(f"expected a JSON object a line ({problem}){advice}", path, number))


def _table(path: files.PathLike, form: TableFormat) -> list[dict[str, Any]] | None:
    """Returns the rows of a file that is a single JSON object with a table; None for JSON lines.

    Only the first lines tell: a file whose first line is a row is not read as a whole.
    """
    first = next((line for line in form.lines(path) if line.strip()), "")
    try:
        value = parse(first)
    except (ValueError, RecursionError):
        if not first.startswith("{"):
            return None
        value = None  # an object that takes several lines
    if value is not None and rows_of_table(value) is None:
        return None
    try:
        return rows_of_table(parse("\n".join(form.lines(path))))
    except (ValueError, RecursionError):
        return None
