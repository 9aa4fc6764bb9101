"""Reads columns that are copied into predictions, such as ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kbert.errors import DataError, shown
from kbert.files import PathLike
from kbert.sources.rows import read_objects
from kbert.sources.table_format import TableFormat, file_kind
from kbert.tasks.readers.tables import named_columns, read_table


def read_kept_columns(path: PathLike, names: Sequence[str], form: TableFormat) -> dict[int, dict[str, Any]]:
    """Returns the values of some columns, by the line of their row.

    Args:
        path: A table or a JSON file.
        names: The names of the columns or keys, or the 1-based numbers of columns (see `read_table`).
        form: The format of the file.

    Raises:
        DataError: A column or key is missing; with file and line.
        UsageError: The file is not a table.
    """
    if not names:
        return {}
    if file_kind(path, form) != "json":
        return {row.line: row.values for row in read_table(path, {name: name for name in names}, form=form)}
    kept = {}
    keys = named_columns(path, {name: name for name in names}, form)
    for line, values in read_objects(path, form=form):
        missing = [key for key in keys.values() if key not in values]
        if missing:
            has = ", ".join(map(shown, values))
            raise DataError(f"there is no key {missing[0]!r}; the object has {has}", path, line)
        kept[line] = {name: values[key] for name, key in keys.items()}
    return kept
