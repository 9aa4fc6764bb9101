"""The check of a value against the description of its option."""

from __future__ import annotations

import math
import numbers
import types
import typing
from collections.abc import Sequence
from typing import Any

from kbert.options.errors import invalid
from kbert.options.option_info import OptionInfo

_NUMBER_WORDS = {int: "a whole number", float: "a number", bool: "True or False", str: "text"}


def check_value(info: OptionInfo, value: Any) -> Any:
    """Returns the value if it is valid for an option, with NumPy numbers converted to Python numbers.

    Raises:
        OptionError: The value is invalid.
    """
    if value is None and types.NoneType in info.members:
        return None
    expected = _type_problem(info, value) or _value_problem(info, value)
    if expected is not None:
        raise invalid(info, f"must be {expected}", value)
    return _plain(value, info.kind)


def _type_problem(info: OptionInfo, value: Any) -> str | None:
    """Returns a phrase for the expected values if the value has a wrong type, otherwise None."""
    kind = info.kind
    if info.multiple and info.element_kind is int:
        whole = isinstance(value, Sequence) and all(map(_is_whole, value))
        return None if whole else "a list of whole numbers"
    if info.multiple:
        return None
    if Any in info.types or kind is None:
        return None
    if kind is tuple:
        whole = isinstance(value, (list, tuple)) and len(value) == 2 and all(map(_is_whole, value))
        return None if whole else f"two whole numbers, {info.metavar or '(FIRST, SECOND)'}"
    right = {
        bool: lambda: isinstance(value, bool),
        int: lambda: _is_whole(value),
        float: lambda: isinstance(value, numbers.Real) and not isinstance(value, bool),
        str: lambda: any(isinstance(value, each) for each in _classes(info)),
    }
    if right[kind]():
        return None
    return f"one of {', '.join(info.choices)}" if info.choices else _NUMBER_WORDS[kind]


def _value_problem(info: OptionInfo, value: Any) -> str | None:
    """Returns a phrase for the expected values if the value has the right type but is invalid, otherwise None."""
    if info.choices and value not in info.choices:
        return f"one of {', '.join(info.choices)}"
    numeric = (info.element_kind if info.multiple else info.kind) in (int, float)
    if numeric and not all(_is_within(info, each) for each in (value if info.multiple else [value])):
        return info.bounds or "a finite number"
    return None if info.valid is None or info.valid(value) else info.expected


def _is_within(info: OptionInfo, value: Any) -> bool:
    return (
        math.isfinite(value)
        and (info.minimum is None or value >= info.minimum)
        and (info.above is None or value > info.above)
        and (info.maximum is None or value <= info.maximum)
        and (info.below is None or value < info.below)
    )


def _classes(info: OptionInfo) -> list[type]:
    """Returns the classes of the valid values, such as str and os.PathLike."""
    origins = [typing.get_origin(kind) or kind for kind in info.types]
    return [origin for origin in origins if isinstance(origin, type)]


def _is_whole(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _plain(value: Any, kind: type | None) -> Any:
    """Returns NumPy numbers as Python numbers, and pairs as tuples."""
    if kind is int:
        return int(value)
    if kind is float and not isinstance(value, (int, float)):
        return float(value)
    return tuple(int(each) for each in value) if kind is tuple else value
