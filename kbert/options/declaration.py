"""The declaration of options, as the fields of a frozen dataclass."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from kbert.options.checking import check_value
from kbert.options.option_info import REQUIRED, OptionInfo, as_json

OptionsType = TypeVar("OptionsType", bound="Options")

_KEY = "option"


def option(default: Any = REQUIRED, help: str = "", **settings: Any) -> Any:
    """Declares a field of an `Options` class.

    Args:
        default: The default; REQUIRED makes the option required.
        help: The help text of the option.
        settings: Further fields of `OptionInfo`.
    """
    default = dataclasses.MISSING if default is REQUIRED else default
    return dataclasses.field(default=default, metadata={_KEY: {"help": help, **settings}})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """The base class of the options of a command. The constructor checks all values.

    Raises:
        OptionError: A value is invalid.
    """

    def __post_init__(self) -> None:
        for name, info in option_infos(type(self)).items():
            value = check_value(info, getattr(self, name))
            if value is not getattr(self, name):
                object.__setattr__(self, name, value)

    def remembered(self) -> dict[str, Any]:
        """Returns the options that run.json records, as JSON: paths become strings, and tuples lists."""
        infos = option_infos(type(self))
        return {name: as_json(getattr(self, name)) for name, info in infos.items() if info.remembered}

    def narrowed(self, kind: type[OptionsType]) -> OptionsType:
        """Returns an object of a parent class with the values of this object."""
        return kind(**{name: getattr(self, name) for name in option_infos(kind)})

    def replace(self: OptionsType, **changes: Any) -> OptionsType:
        """Returns a copy with some values changed. The new values are checked."""
        return dataclasses.replace(self, **changes)


def option_infos(options: type[Options]) -> Mapping[str, OptionInfo]:
    """Returns the options of a class by name, in the order of the fields."""
    hints = typing.get_type_hints(options)
    return {
        field.name: OptionInfo(
            field.name,
            default=REQUIRED if field.default is dataclasses.MISSING else field.default,
            annotation=hints[field.name],
            **field.metadata.get(_KEY, {}),
        )
        for field in dataclasses.fields(options)
    }


def free_options(options: type[Options]) -> list[str]:
    """Returns the names of the options that may differ when a run is resumed."""
    return [name for name, info in option_infos(options).items() if info.free]


def check_option(options: type[Options], name: str, value: Any) -> Any:
    """Returns the value if it is valid for the option `name` of the class `options`.

    Raises:
        OptionError: The value is invalid.
    """
    return check_value(option_infos(options)[name], value)
