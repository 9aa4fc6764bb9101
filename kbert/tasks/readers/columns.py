"""Chooses the columns of a file that a task reads: those that the user names, else usual names in the header."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from kbert.files import PathLike
from kbert.sources.table_format import check_there
from kbert.tasks.options import CollectionOptions, TaskOptions
from kbert.tasks.readers.tables import COLUMN_NUMBERS, column_names
from kbert.tasks.task_info import TaskInfo

_LOG = logging.getLogger("kbert")


def find_columns(
    info: TaskInfo,
    path: PathLike,
    given: Mapping[str, str | None],
    options: TaskOptions,
    *,
    targets: bool = True,
    tell: bool = False,
) -> dict[str, str]:
    """Returns the column of each role in a file.

    A column that the user does not name is the default of the catalogue. A column without a default is read if the
    header has its usual name and the user names no other optional target. If the user names no column and the default
    columns are missing in the file, the columns of published data sets are tried (`TaskInfo.usual_columns`).

    Args:
        info: The task.
        path: The file, or a table in memory.
        given: The columns by role. None selects the default; "" means that the file has no such column.
        options: The options of the task, some of which describe the format of the file.
        targets: Whether the columns of targets are included.
        tell: Whether to log the columns that are neither named by the user nor defaults.

    Raises:
        UsageError: The task has no such role.
        DataError: The file cannot be read.
    """
    chosen = info.choose_columns(given, targets=targets)
    roles = [column for column in info.columns if targets or not column.target]
    optional = [column for column in roles if column.usual]
    if any(given.get(column.role) for column in optional if column.target):
        return chosen  # the user chose among the targets
    open_roles = [column for column in optional if column.role not in chosen and given.get(column.role) != ""]
    has_judgements = isinstance(options, CollectionOptions) and options.has_judgements
    if has_judgements or not (open_roles or info.usual_columns):
        return chosen
    if any(COLUMN_NUMBERS.fullmatch(name) for name in chosen.values()):
        return chosen
    check_there(path)
    header = column_names(path, options.table_format)
    found: dict[str, str] = {}
    named = any(name for name in given.values())
    if not named and header and not set(chosen.values()) <= set(header):
        found = next((dict(each) for each in info.usual_columns if set(each.values()) <= set(header)), {})
    if not found and not named:
        # The header has the default columns, so the other columns of a published data set are looked for.
        for each in info.usual_columns:
            if all(each.get(role) == name for role, name in chosen.items()) and set(each.values()) <= set(header):
                found = dict(each)
                break
    if found:
        found = {column.role: found[column.role] for column in roles if column.role in found}
        found = {role: name for role, name in found.items() if given.get(role) != ""}
    for column in open_roles:
        if column.role not in found and column.usual in header:
            found[column.role] = str(column.usual)
    if found and tell:
        words = ", ".join(f"--{role}-column {name}" for role, name in found.items())
        _LOG.info("%s: read with %s", path, words)
    return {**chosen, **found}
