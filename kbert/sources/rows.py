"""Rows with typed values, out of everything that has such: JSON, Parquet, data sets by name, tables in memory.

These and the cells of `kbert.sources.delimited` and `kbert.sources.excel` are what documents and examples are made of.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from kbert import files
from kbert.errors import DataError
from kbert.sources import named_datasets, parquet
from kbert.sources.bad_rows import BadRows
from kbert.sources.json_values import array_elements, is_array, parse
from kbert.sources.memory_table import MemoryTable, plain_cell
from kbert.sources.table_format import TableFormat, row_kind


def read_objects(
    path: files.PathLike, *, form: TableFormat | None = None, bad: BadRows | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields the rows of a file, each a mapping of column to value, with its line or number.

    Args:
        path: JSON lines or a JSON array, Parquet, "hf-datasets:NAME" or "tfds:NAME", or a table in memory. Missing
            values are empty texts, but null in JSON.
        form: How the file is written.
        bad: Takes rows that cannot be read.

    Raises:
        DataError: A row is no JSON object, or the file cannot be read; with file and line.
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
    """Yields the rows as `read_objects` does, and values of JSON that are no objects.

    Raises:
        DataError: A line is no JSON, or the file cannot be read; with file and line.
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
    lines: Iterator[tuple[int, str]]
    lines = array_elements(path, form.line_blocks(path, bad)) if is_array(path) else form.numbered_lines(path, bad)
    for number, line in lines:
        if not line.strip():
            continue
        try:
            yield number, parse(line)
        except (ValueError, RecursionError) as problem:
            bad.skip(DataError(f"expected a JSON object a line ({problem})", path, number))
