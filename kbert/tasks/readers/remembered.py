"""How files are read: what a model remembers of its training file, so that the next one needs no words."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from kbert.errors import shown
from kbert.options import OptionInfo
from kbert.sources.table_format import TableFormat
from kbert.tasks.options import TaskOptions
from kbert.tasks.task_info import TaskInfo


@dataclasses.dataclass(frozen=True)
class Reading:
    """The columns of a file, and the options that say how it is written.

    Args:
        columns: The column of each role; the catalogue's for those that are not named.
        options: Those of the task that say how to read; the catalogue's values for those that are not named.
    """

    columns: Mapping[str, str] = dataclasses.field(default_factory=dict)
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @classmethod
    def remembered(cls, info: TaskInfo, columns: Mapping[str, str], options: TaskOptions) -> Reading:
        """What a model remembers of the file that it learnt from: no names of other files, and no defaults."""
        kept = _kept(info)
        values = {name: getattr(options, name) for name in kept}
        chosen = {name: value for name, value in values.items() if value not in (None, kept[name].default)}
        return cls(dict(columns), chosen)

    @classmethod
    def from_settings(cls, values: Any, info: TaskInfo) -> Reading:
        """Makes it anew from what `settings` gave; the file may be anyone's.

        Args:
            values: JSON.
            info: Of the task.

        Raises:
            TypeError: It is of another form.
            UsageError: The task has no such column or option, or not with that value.
        """
        if not isinstance(values, Mapping) or not values.keys() <= {"columns", "options"}:
            raise TypeError(f"reading must be an object of columns and options. Received: {shown(values)}")
        columns, options = values.get("columns", {}), values.get("options", {})
        if not isinstance(columns, Mapping) or not all(isinstance(name, str) for name in columns.values()):
            raise TypeError(f"columns must be an object of names. Received: {shown(columns)}")
        if not isinstance(options, Mapping):
            raise TypeError(f"options must be an object. Received: {shown(options)}")
        kept = _kept(info)
        if strange := sorted(options.keys() - kept.keys()):
            raise TypeError(f"{shown(strange[0])} is no option of {info.name} that says how to read")
        info.choose_columns(columns)
        checked = {name: kept[name].checked(value) for name, value in options.items()}
        TableFormat.from_options(checked)
        return cls(dict(columns), checked)

    def settings(self) -> dict[str, Any]:
        """What a bundle remembers; JSON."""
        return {"columns": dict(self.columns), "options": dict(self.options)}

    def overruled(self, columns: Mapping[str, str] | None, options: Mapping[str, Any] | None) -> Reading:
        """With what is said about one file in its place; None says nothing, the column "" that there is none."""
        return Reading(
            {**self.columns, **{role: name for role, name in (columns or {}).items() if name is not None}},
            {**self.options, **{name: value for name, value in (options or {}).items() if value is not None}},
        )


def _kept(info: TaskInfo) -> dict[str, OptionInfo]:
    return {name: each for name, each in info.option_infos.items() if each.reading and each.remembered}
