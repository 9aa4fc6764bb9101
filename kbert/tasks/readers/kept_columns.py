"""Reads columns that are copied into predictions, such as ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from kbert.errors import DataError, shown
from kbert.files import PathLike
from kbert.sources.rows import read_objects
from kbert.sources.table_format import TableFormat, file_kind
from kbert.tasks.readers.tables import named_columns, read_table


class KeptColumns:
    """The values of some columns of a file, which is read while they are requested, in the order of its lines.

    Args:
        path: A table or a JSON file.
        names: The names of the columns or keys, or the 1-based numbers of columns (see `read_table`).
        form: The format of the file.

    Raises:
        DataError: A column or key is missing; with file and line.
        UsageError: The file is not a table.
    """

    def __init__(self, path: PathLike, names: Sequence[str], form: TableFormat) -> None:
        self._rows = _rows(path, names, form) if names else iter(())
        self._line = 0
        self._values: dict[str, Any] = {}

    def at(self, line: int) -> dict[str, Any]:
        """Returns the values of the row at a line, which is not before the line of the last call.

        The result is empty if no columns are kept.
        """
        while self._line < line:
            self._line, self._values = next(self._rows, (line, {}))
        return self._values if self._line == line else {}


def _rows(path: PathLike, names: Sequence[str], form: TableFormat) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields the line and the values of each row."""
    if file_kind(path, form) != "json":
        for row in read_table(
            path, {name: name for name in names}, form=form, flags=dict.fromkeys(names, "--keep-column")
        ):
            yield row.line, dict(row.values)
        return
    keys = named_columns(path, {name: name for name in names}, form)
    for line, values in read_objects(path, form=form):
        missing = [key for key in keys.values() if key not in values]
        if missing:
            has = ", ".join(map(shown, values))
            raise DataError(f"there is no key {missing[0]!r}; the object has {has}", path, line)
        yield line, {name: values[key] for name, key in keys.items()}
