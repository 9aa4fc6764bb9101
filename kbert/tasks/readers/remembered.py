"""How a model's training file was read: its columns and format.

A model folder stores this, so that later files in the same format need no options.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from kbert.errors import shown
from kbert.options import OptionInfo, check_value
from kbert.sources.table_format import TableFormat
from kbert.tasks.options import TaskOptions
from kbert.tasks.task_info import TaskInfo


@dataclasses.dataclass(frozen=True)
class Reading:
    """The columns of a file, and the options that describe its format.

    Args:
        columns: The column of each role. Roles that are missing have the default of the catalogue.
        options: The options of the task that describe the format of a file. Options that are missing have their
            defaults.
    """

    columns: Mapping[str, str] = dataclasses.field(default_factory=dict)
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @classmethod
    def remembered(cls, info: TaskInfo, columns: Mapping[str, str], options: TaskOptions) -> Reading:
        """Returns what a model stores about its training file: no paths of other files, and no default values.

        Args:
            info: The task.
            columns: The column of each role in the training file.
            options: The options that the file was read with.
        """
        kept = _kept(info)
        values = {name: getattr(options, name) for name in kept}
        chosen = {name: value for name, value in values.items() if value not in (None, kept[name].default)}
        return cls(dict(columns), chosen)

    @classmethod
    def from_settings(cls, values: Any, info: TaskInfo) -> Reading:
        """Makes the object from the JSON value that `settings` returned.

        All values are checked, since a model folder may come from anyone.

        Args:
            values: The JSON value.
            info: The task.

        Raises:
            TypeError: The value has another form.
            UsageError: The task has no such column, or the value of an option is invalid.
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
        checked = {name: check_value(kept[name], value) for name, value in options.items()}
        TableFormat.from_options(checked)
        return cls(dict(columns), checked)

    def settings(self) -> dict[str, Any]:
        """Returns the columns and options for kbert.json, as JSON values."""
        return {"columns": dict(self.columns), "options": dict(self.options)}

    def overruled(self, columns: Mapping[str, str] | None, options: Mapping[str, Any] | None) -> Reading:
        """Returns a copy with these columns and options overridden.

        Args:
            columns: The columns by role. None keeps the remembered column; the name "" removes a column.
            options: The options by name. None keeps the remembered value.
        """
        return Reading(
            {**self.columns, **{role: name for role, name in (columns or {}).items() if name is not None}},
            {**self.options, **{name: value for name, value in (options or {}).items() if value is not None}},
        )


def _kept(info: TaskInfo) -> dict[str, OptionInfo]:
    return {name: each for name, each in info.option_infos.items() if each.reading and each.remembered}
