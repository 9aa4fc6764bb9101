"""The description of a task that is known before it is imported: its data, columns and options. No TensorFlow here."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from kbert.errors import UsageError
from kbert.options import OptionInfo, option_infos
from kbert.tasks.options import TaskOptions


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
class TaskInfo:
    """What is known of a task before it is imported.

    Args:
        name: What users call it.
        where: "module:class".
        help: What it does, in a few words after "Fine-tune a BERT for TASK: ".
        data: The files it reads.
        columns: The columns of tables.
        options: The class of its options.
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
    options: type[TaskOptions] = TaskOptions
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

    @property
    def option_infos(self) -> Mapping[str, OptionInfo]:
        """The options of the task by name: its own first, then those that describe files."""
        infos = {
            name: dataclasses.replace(each, section="Files" if each.reading else "Task")
            for name, each in option_infos(self.options).items()
        }
        own = self.options.__annotations__
        first = [name for name in own if not infos[name].reading]
        return {name: infos[name] for name in dict.fromkeys((*first, *own, *infos))}

    def choose_options(self, given: Mapping[str, Any] | TaskOptions | None) -> Any:
        """Returns the options, an object of the class `options`: those that are given, else the defaults.

        Args:
            given: Options by name, where None stands for the default; or an object that has them all.

        Raises:
            UsageError: The task has no such option, or a value is invalid.
        """
        if isinstance(given, TaskOptions):
            return given
        infos = self.option_infos
        for name in given or {}:
            if name not in infos:
                has = f"it has {', '.join(infos)}" if infos else "it has none"
                raise UsageError(f"the task {self.name} has no option {name!r}; {has}")
        return self.options(**{name: value for name, value in (given or {}).items() if value is not None})

    def split(self, given: Mapping[str, Any]) -> tuple[dict[str, str], Any]:
        """Columns and options out of keywords such as `text_column`.

        Raises:
            UsageError: The task has no such column or option.
        """
        ending = "_column"
        columns = {name.removesuffix(ending): value for name, value in given.items() if name.endswith(ending)}
        others = {name: value for name, value in given.items() if not name.endswith(ending)}
        return self.choose_columns(columns), self.choose_options(others)
