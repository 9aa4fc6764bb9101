"""Tables in memory: data frames, and lists of dictionaries.

They are read like JSON lines. Functions accept a `MemoryTable` instead of a path. Its name appears in messages: "the
rows of train:3" is the third row.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from kbert.errors import UsageError, shown


class MemoryTable(os.PathLike[str]):
    """A table of rows, with a name that replaces the path in messages.

    Args:
        rows: The rows, each a dictionary of column names and values.
        name: The name in messages, such as "the rows of train".
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]], name: str) -> None:
        self.rows = rows
        self.name = name

    def __fspath__(self) -> str:
        return self.name

    def __str__(self) -> str:
        return self.name

    def numbered_rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yields each row with its 1-based number."""
        for number, row in enumerate(self.rows, start=1):
            yield number, {str(name): value for name, value in row.items()}

    def sha256(self) -> str:
        """Returns a hash of the rows and their order."""
        digest = hashlib.sha256()
        for _, row in self.numbered_rows():
            digest.update(json.dumps(row, default=str).encode() + b"\n")
        return digest.hexdigest()


def is_path(data: Any) -> bool:
    """Returns whether the data are the path of a file."""
    return isinstance(data, (str, os.PathLike))


def as_table(data: Any, name: str) -> MemoryTable | None:
    """Converts a data frame of pandas or polars, or a list of dictionaries, to a table; returns None for other data.

    In data frames, missing values (None, NaN, NaT, NA) become empty cells, as in a CSV file, and booleans become "True"
    and "False". Values of dictionaries are treated like JSON values, where missing values are null.

    Args:
        data: The data.
        name: The name of the data; messages call the table "the rows of {name}".

    Raises:
        UsageError: Two columns have the same name, or some rows are dictionaries and others are not.
    """
    if isinstance(data, MemoryTable):
        return data
    if data is None or is_path(data) or isinstance(data, (bytes, Mapping)):
        return None
    label = f"the rows of {name}"
    if hasattr(data, "columns") and (hasattr(data, "itertuples") or hasattr(data, "iter_rows")):
        columns = [str(column) for column in data.columns]
        if len(set(columns)) < len(columns):
            twice = next(column for column in columns if columns.count(column) > 1)
            raise UsageError(f"{label}: expected columns of different names. Received {shown(twice)} twice")
        rows = data.itertuples(index=False, name=None) if hasattr(data, "itertuples") else data.iter_rows()
        return MemoryTable([dict(zip(columns, map(plain_cell, row), strict=True)) for row in rows], label)
    if not isinstance(data, Iterable) or not hasattr(data, "__len__") or isinstance(data, (set, frozenset)):
        return None
    items = list(data)
    tables = sum(isinstance(item, Mapping) for item in items)
    if tables and tables < len(items):
        other = next(item for item in items if not isinstance(item, Mapping))
        raise UsageError(f"{label}: expected rows that are all dictionaries. Received: {shown(other)}")
    return (
        MemoryTable([{key: _plain(value) for key, value in item.items()} for item in items], label) if tables else None
    )


def plain_cell(value: Any) -> Any:
    """Converts a cell of a data frame, a Parquet file or a dataset to what a CSV file has; lists remain lists.

    Missing values become "", and booleans become "True" and "False".
    """
    value = _plain(value)
    if _is_missing(value):
        return ""
    return str(value) if isinstance(value, bool) else value


def _plain(value: Any) -> Any:
    """Converts a value to JSON types: NumPy's types to numbers and lists, missing values to None, others to text."""
    if hasattr(value, "tolist"):  # NumPy arrays and numbers
        value = value.tolist()
    if _is_missing(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)  # dates, decimals, categories


def _is_missing(value: Any) -> bool:
    if isinstance(value, (str, list, dict)):
        return False
    try:
        return value is None or bool(value != value)
    except TypeError:  # comparisons with pandas.NA have no truth value
        return True
