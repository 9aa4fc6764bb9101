"""The description of a task: its files, columns, options and metrics.

The command line needs it before the task itself is imported, so this module does not import TensorFlow.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from kbert.options import OptionError, OptionInfo, option_error, option_infos
from kbert.tasks.options import TaskOptions

COLUMNS_SECTION = "Columns"
"""The heading of the options that name columns, in the help of commands."""
_ENDING = "_column"
"""The end of the keywords that name columns."""


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a table that a task reads.

    Args:
        role: The use of the column in the task, such as "text". The option `--text-column` names this column.
        help: The content of the column, for the help of the command line.
        default: The default name of the column in a file. Without a default, the column is read only if the user names
            it or the header has the `usual` name.
        target: Whether the column holds what the task predicts. Such a column is not read for predictions.
        usual: The name under which a column without a default is read if the header has it.
    """

    role: str
    help: str
    default: str | None = None
    target: bool = False
    usual: str | None = None


@dataclasses.dataclass(frozen=True)
class TaskInfo:
    """The description of a task.

    Args:
        name: The name of the task, as users write it.
        where: The class of the task, as "module:class".
        help: What the task predicts, in a few words that continue "Fine-tune a BERT for TASK: ".
        data: The files that the task reads, in words for the help.
        columns: The columns of tables.
        options: The class of the task's options.
        sequence_length: The default longest input in tokens. It is smaller if the model has fewer positions.
        trainable: Whether `finetune` trains the task.
        usual_columns: Sets of columns in published data sets, by role. If the user names no column and the default
            columns are missing in the file, the first set that the file has is read.
        metrics: The metrics that `--main-metric` accepts, beside the validation loss. The first is the default, unless
            the validation data require another.
        unsupported: The names of options of fine-tuning that the task does not support. Commands do not offer them;
            in Python, they raise an error.
    """

    name: str
    where: str
    help: str
    data: str = "CSV, TSV, JSON lines, Excel, Parquet or a dataset by name"
    columns: tuple[Column, ...] = ()
    options: type[TaskOptions] = TaskOptions
    sequence_length: int = 128
    trainable: bool = True
    usual_columns: tuple[Mapping[str, str], ...] = ()
    metrics: tuple[str, ...] = ()
    unsupported: frozenset[str] = frozenset()

    def choose_columns(self, given: Mapping[str, str | None], *, targets: bool = True) -> dict[str, str]:
        """Returns the column of each role: the given ones, else the defaults.

        Args:
            given: The columns by role; None selects the default.
            targets: Whether the columns of targets are included.

        Raises:
            UsageError: The task has no such role, or the name of a column that it needs is empty.
        """
        roles = {column.role: column for column in self.columns}
        for role, name in given.items():
            if name is not None and role not in roles:
                has = f"it has {', '.join(map(repr, roles))}" if roles else "it reads no tables"
                raise self._unknown(f"the task {self.name} has no column {role!r}; {has}", f"{role}_column")
            if name == "" and roles[role].default and (targets or not roles[role].target):
                raise option_error(
                    lambda spell, option=f"{role}_column": (  # type: ignore[misc]
                        f"{spell(option)} must name a column, since {self.name} needs one. Received: an empty name"
                    )
                )
        chosen = {role: given.get(role) or column.default for role, column in roles.items()}
        return {role: name for role, name in chosen.items() if name and (targets or not roles[role].target)}

    @property
    def option_infos(self) -> Mapping[str, OptionInfo]:
        """The options by name: the task's own first, then those that describe files."""
        infos = {
            name: dataclasses.replace(each, section=_section(each)) for name, each in option_infos(self.options).items()
        }
        own = self.options.__annotations__
        first = [name for name in own if not infos[name].reading]
        return {name: infos[name] for name in dict.fromkeys((*first, *own, *infos))}

    def choose_options(self, given: Mapping[str, Any] | TaskOptions | None) -> Any:
        """Returns the options as an object of the class `options`: the given values, else the defaults.

        Args:
            given: Options by name, where None selects the default; or an object of the class, which is returned as is.

        Raises:
            UsageError: The task has no such option, or a value is invalid.
        """
        if isinstance(given, TaskOptions):
            return given
        infos = self.option_infos
        for name in given or {}:
            if name not in infos:
                has = f"it has {', '.join(infos)}" if infos else "it has none"
                raise self._unknown(f"the task {self.name} has no option {name!r}; {has}", name)
        return self.options(**{name: value for name, value in (given or {}).items() if value is not None})

    def _unknown(self, message: str, option: str) -> OptionError:
        """Returns the error for an option that other tasks have. The command line has the options of all tasks."""
        return OptionError(message, f"{OptionInfo(option).spelling} is not for {self.name}; leave it out")

    def split(self, given: Mapping[str, Any]) -> tuple[dict[str, str], Any]:
        """Splits keyword arguments into the columns by role (from `text_column` and the like) and the options.

        A column that a file does not have stays "", so that it is not looked for in the header.

        Args:
            given: The keyword arguments by name.

        Raises:
            UsageError: The task has no such column or option.
        """
        columns, others = split_columns(given)
        absent = {role: name for role, name in columns.items() if name == ""}
        return {**self.choose_columns(columns), **absent}, self.choose_options(others)


def column_keywords(columns: Mapping[str, str]) -> dict[str, str]:
    """Returns columns by the names of their keywords.

    Args:
        columns: The columns by role.

    Example:
        >>> column_keywords({"text": "review"})
        {'text_column': 'review'}
    """
    return {f"{role}{_ENDING}": name for role, name in columns.items()}


def split_columns(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Splits keyword arguments into the columns by role (from `text_column` and the like) and the other keywords.

    Args:
        given: The keyword arguments by name.

    Example:
        >>> split_columns({"text_column": "review", "delimiter": ";"})
        ({'text': 'review'}, {'delimiter': ';'})
    """
    columns = {name.removesuffix(_ENDING): value for name, value in given.items() if name.endswith(_ENDING)}
    return columns, {name: value for name, value in given.items() if not name.endswith(_ENDING)}


def _section(info: OptionInfo) -> str:
    """Returns the heading of an option in the help of a command."""
    if info.name.endswith("_columns"):
        return COLUMNS_SECTION
    return "Files" if info.reading else "Task"
