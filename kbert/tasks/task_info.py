"""The description of a task that is known before it is imported: its data, columns and options. No TensorFlow here."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

from kbert.errors import UsageError, shown


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a table that a task reads.

    Args:
        role: What it is to the task, such as "text"; `--text-column` names it.
        help: What it holds.
        default: Its name in the file, unless it is named; None for a column that is not read unless it is named.
        target: Whether it is what the task predicts, and so is not there when texts are to be answered.
        usual: The name of a column without a default that is read if it stands in the header.
    """

    role: str
    help: str
    default: str | None = None
    target: bool = False
    usual: str | None = None


@dataclasses.dataclass(frozen=True)
class Option:
    """A setting of a task.

    Args:
        name: As in Python; `--name` on the command line, with hyphens.
        help: What it does.
        default: Tells its type too, unless `kind` does. False makes it a flag.
        kind: The type of its value where the default is None.
        choices: The only values it takes; none for any.
        reading: Whether it says how a file is to be read, so that it may be another with each file.
        file: Whether its value is the name of a file, which no model remembers.
        remembered: Whether a model remembers it of its training file, if it says how to read.
    """

    name: str
    help: str
    default: Any = None
    kind: type = str
    choices: tuple[str, ...] = ()
    reading: bool = False
    file: bool = False
    remembered: bool = True

    @property
    def type(self) -> Any:
        """The type of its value."""
        return self.kind if self.default is None else type(self.default)

    def check(self, value: Any) -> Any:
        """The value as the option's type.

        Raises:
            UsageError: It cannot be.
        """
        if value is None:
            return self.default
        if self.type is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if self.file and isinstance(value, os.PathLike):
            value = os.fspath(value)
        if not isinstance(value, self.type) or (self.type is int and isinstance(value, bool)):
            raise UsageError(f"{self.name} must be of the type {self.type.__name__}. Received: {shown(value)}")
        if self.choices and value not in self.choices:
            raise UsageError(f"{self.name} must be one of {', '.join(self.choices)}. Received: {shown(value)}")
        return value


@dataclasses.dataclass(frozen=True)
class TaskInfo:
    """What is known of a task before it is imported.

    Args:
        name: What users call it.
        where: "module:class".
        help: What it does, in a few words after "Fine-tune a BERT for TASK: ".
        data: The files it reads.
        columns: The columns of tables.
        options: Its settings.
        sequence_length: Longest input in tokens, unless another is asked for or the model has fewer positions.
        trainable: Whether `finetune` trains it.
        usual_columns: Sets of columns in published data sets. The first one that a file has is read, if the user named
            no column and the file lacks the default ones.
        metrics: The metrics that may decide which weights are best (`--main-metric`), beside the validation loss. The
            first is the default, unless the validation data require another.
    """

    name: str
    where: str
    help: str
    data: str = "CSV, TSV or JSON lines"
    columns: tuple[Column, ...] = ()
    options: tuple[Option, ...] = ()
    sequence_length: int = 128
    trainable: bool = True
    usual_columns: tuple[Mapping[str, str], ...] = ()
    metrics: tuple[str, ...] = ()

    def choose_columns(self, given: Mapping[str, str | None], *, targets: bool = True) -> dict[str, str]:
        """The column of each role: those given, else the defaults.

        Args:
            given: Columns by role; None is as if it were not there.
            targets: Whether columns of targets are wanted.

        Raises:
            UsageError: The task has no such role.
        """
        roles = {column.role: column for column in self.columns}
        for role, name in given.items():
            if name is not None and role not in roles:
                has = f"it has {', '.join(map(repr, roles))}" if roles else "it reads no tables"
                raise UsageError(f"the task {self.name} has no column {role!r}; {has}")
        chosen = {role: given.get(role) or column.default for role, column in roles.items()}
        return {role: name for role, name in chosen.items() if name and (targets or not roles[role].target)}

    def choose_options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All options: those given, else the defaults.

        Raises:
            UsageError: The task has no such option, or it cannot have that value.
        """
        known = {option.name: option for option in self.options}
        for name in given:
            if name not in known:
                has = f"it has {', '.join(known)}" if known else "it has none"
                raise UsageError(f"the task {self.name} has no option {name!r}; {has}")
        return {name: option.check(given.get(name)) for name, option in known.items()}

    def split(self, given: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
        """Columns and options out of keywords such as `text_column`.

        Raises:
            UsageError: The task has no such column or option.
        """
        ending = "_column"
        columns = {name.removesuffix(ending): value for name, value in given.items() if name.endswith(ending)}
        others = {name: value for name, value in given.items() if not name.endswith(ending)}
        return self.choose_columns(columns), self.choose_options(others)
