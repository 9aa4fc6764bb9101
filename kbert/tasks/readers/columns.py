"""Chooses the columns of a file that a task reads: those that the user names, else usual names in the header."""

from __future__ import annotations

import functools
import logging
from collections.abc import Collection, Iterable, Mapping

from kbert.files import PathLike
from kbert.sources.table_format import check_there, file_kind
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

    A column that the user does not name is the default of the catalogue. Names are found in the header regardless of
    capitals and of white space around them, unless it has the exact name. A column without a default is read if the
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
    has_judgements = isinstance(options, CollectionOptions) and options.has_judgements
    is_table = bool(optional or info.usual_columns)
    # A JSON file may be one large value, such as SQuAD's, which is not read for the sake of its first key.
    if has_judgements or not (is_table or (chosen and file_kind(path, options.table_format) != "json")):
        return chosen
    if any(COLUMN_NUMBERS.fullmatch(name) for name in chosen.values()):
        return chosen
    check_there(path)
    header = _Header(column_names(path, options.table_format))
    found: dict[str, str] = {}
    # If the user chose among the targets, the others are not read.
    if not any(given.get(column.role) for column in optional if column.target):
        named = any(name for name in given.values())
        found = {} if named else _published(info, chosen, header)
        found = {column.role: found[column.role] for column in roles if column.role in found}
        found = {role: name for role, name in found.items() if given.get(role) != ""}
        for column in optional:
            if column.role not in chosen and given.get(column.role) != "" and column.role not in found:
                name = header.spelled(str(column.usual))
                if name is not None:
                    found[column.role] = name
    for role, name in chosen.items():
        spelled = header.spelled(name)
        if role not in found and spelled not in (None, name):
            found[role] = str(spelled)
    if tell:
        _tell_unread(info, path, given, {**chosen, **found}, header)
    if found and tell:
        words = ", ".join(f"--{role}-column {name}" for role, name in found.items())
        _LOG.info("%s: read with %s", path, words)
    return {**chosen, **found}


def _tell_unread(
    info: TaskInfo, path: PathLike, given: Mapping[str, str | None], read: Mapping[str, str], header: _Header
) -> None:
    """Logs the columns with usual names of targets that are not read, since the user named other targets."""
    for column in info.columns:
        if column.target and column.usual and column.role not in read and given.get(column.role) != "":
            name = header.spelled(column.usual)
            if name is not None and name not in read.values():
                _tell_once(f"{path}: the column {name} is not read; --{column.role}-column {name} reads it")


@functools.lru_cache(maxsize=1024)  # a file is read several times, but the message is needed once
def _tell_once(message: str) -> None:
    _LOG.info(message)


class _Header:
    """The names of the columns of a file, found regardless of capitals and of white space around them.

    Args:
        names: The names.
    """

    def __init__(self, names: Collection[str]) -> None:
        self._names = frozenset(names)
        self._folded: dict[str, set[str]] = {}
        for name in names:
            self._folded.setdefault(_folded(name), set()).add(name)

    def __bool__(self) -> bool:
        return bool(self._names)

    def spelled(self, column: str) -> str | None:
        """Returns a column, or columns such as "title,body", as the file spells them; None if one is missing."""
        parts = [column] if self._one(column) is not None or "," not in column else column.split(",")
        found = [self._one(part) for part in parts]
        return None if None in found else ",".join(map(str, found))

    def has(self, columns: Iterable[str]) -> bool:
        """Returns whether the file has all of these columns."""
        return all(self.spelled(column) is not None for column in columns)

    def _one(self, name: str) -> str | None:
        if name in self._names:
            return name
        found = self._folded.get(_folded(name), set())
        return next(iter(found)) if len(found) == 1 else None


def _folded(name: str) -> str:
    return name.strip().casefold()


def _published(info: TaskInfo, chosen: Mapping[str, str], header: _Header) -> dict[str, str]:
    """Returns the columns of the first published data set that the file has; {} if there is none.

    If the file has the default columns, the other columns of a data set with these columns are returned.
    """
    has_defaults = header.has(chosen.values())
    for each in info.usual_columns:
        if has_defaults and any(each.get(role) != name for role, name in chosen.items()):
            continue
        if header and header.has(each.values()):
            return {role: str(header.spelled(name)) for role, name in each.items()}
    return {}
