"""Reads the files that a model answers for, by default in the same way as the model's training file."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kbert.errors import DataError, UsageError, shown
from kbert.files import PathLike
from kbert.options import option_error
from kbert.sources.bad_rows import BadRows
from kbert.sources.memory_table import MemoryTable, as_table, is_path
from kbert.sources.table_format import TableFormat, file_kind
from kbert.tasks.protocol.answering import AnsweringTask
from kbert.tasks.readers.remembered import Reading
from kbert.tasks.readers.tables import has_columns
from kbert.tasks.task_info import split_columns


class InputFiles:
    """Reads texts and examples from files.

    Args:
        task: The task of the model.
        remembered: The columns and options with which the training file of the model was read.
    """

    def __init__(self, task: AnsweringTask[Any], remembered: Reading) -> None:
        self._task = task
        self._remembered = remembered

    def reading(self, given: Mapping[str, Any]) -> Reading:
        """Returns how a file is read: the remembered columns and options, overridden by those that are given.

        Args:
            given: The columns, as `text_column` and so on, and the options by name.

        Raises:
            UsageError: The task has no column or option of that name.
        """
        info = self._task.info()
        columns, options = split_columns(given)
        info.choose_options(options)
        reading = self._remembered.overruled(columns, options)
        has_pair = any(column.role == "pair" for column in info.columns)
        if has_pair and getattr(self._task, "paired", True) is False and not reading.columns.get("pair"):
            # This model takes single texts, so a column with the default name of the second text is ignored.
            return reading.overruled({"pair": ""}, None)
        return reading

    def text_lines(self, path: PathLike, given: Mapping[str, Any]) -> Iterator[str] | None:
        """Returns the lines of a file with one text per line; None for tables and for formats of the task.

        The file is read while the lines are iterated over.

        Args:
            path: A file, or a table in memory.
            given: The columns and the options; see `reading`.

        Raises:
            DataError: The file is empty or unreadable.
            UsageError: The task has no column or option of that name, or a column of a file of lines is named.
        """
        reading = self.reading(given)
        if isinstance(path, MemoryTable) or len(self._task.text_inputs) > 1 or self._task.has_own_format(path):
            return None
        form = TableFormat.from_options(reading.options)
        chosen = self._task.info().choose_columns(reading.columns, targets=False)
        if given.get("delimiter") is not None or resembles_table(path, chosen, form):
            return None
        check_no_text_column(path, given)
        return _lines(path, form)

    def examples(self, path: PathLike, given: Mapping[str, Any]) -> Iterator[Any]:
        """Yields the examples of a table or of a file in a format of the task, without their targets.

        Args:
            path: A file, or a table in memory.
            given: The columns and the options; see `reading`.

        Raises:
            DataError: The file is unreadable or empty, or a column is missing.
            UsageError: The task has no column or option of that name.
        """
        reading = self.reading(given)
        return self._task.iterate_examples(path, reading.columns, options=reading.options, targets=False)

    def labelled(self, data: PathLike | Any, given: Mapping[str, Any], bad: BadRows) -> tuple[Sequence[Any], PathLike]:
        """Returns labelled examples, whose labels are not checked yet, and their file for messages.

        Args:
            data: A file, a table in memory, or a list of examples of the task.
            given: The columns and the options; see `reading`.
            bad: Counts the rows that are skipped.

        Raises:
            DataError: The file is unreadable or empty, or a row is invalid.
            UsageError: The type of `data` is invalid.
        """
        table = as_table(data, "the table")
        if table is not None or is_path(data):
            path = table or data
            chosen = self.reading(given)
            return self._task.read_examples(path, chosen.columns, options=chosen.options, bad=bad), path
        if not isinstance(data, Sequence) or not data or not all(map(dataclasses.is_dataclass, data)):
            raise UsageError(
                "expected a file, a data frame, a list of rows that are dictionaries, or examples of the task. "
                f"Received: {shown(data)}"
            )
        return data, "examples"


def _lines(path: PathLike, form: TableFormat) -> Iterator[str]:
    line = None
    for line in form.lines(path):
        yield line
    if line is None:
        raise DataError("expected one text per line. Received: an empty file", path)


def check_no_text_column(path: PathLike, given: Mapping[str, Any]) -> None:
    """Checks that no column of texts is named for a file that is read as one text per line.

    Args:
        path: The file.
        given: The columns and the options that the user gave.

    Raises:
        UsageError: There is such a column.
    """
    column = given.get("text_column")
    if column:
        raise option_error(
            lambda spell: (
                f"{spell('text_column')} needs a table. Received: {path}, which is read as one text per line; give the "
                f"{spell('delimiter')} of its columns or its {spell('format')}, or leave {spell('text_column')} out"
            )
        )


def resembles_table(path: PathLike, columns: Mapping[str, str], form: TableFormat) -> bool:
    """Returns whether a file is a table like the training file, and not a file with one text per line.

    A file whose suffix does not decide this is a table if the training file had a delimiter, and the first row of the
    file has the columns.

    Args:
        path: The file.
        columns: The columns of the table.
        form: The format of the training file.
    """
    return file_kind(path, form) != "text" or (form.delimiter is not None and has_columns(path, columns, form))
