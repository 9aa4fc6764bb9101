"""Reads the settings of a task from kbert.json and checks the type of each value.

The checks are strict because a model folder may come from anyone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping
from typing import Any

from kbert.errors import shown

Kind = Callable[[Any], Any]
"""Checks a JSON value and returns it as the task stores it. The TypeError for other values says what was expected."""


def read_settings(
    settings: Mapping[str, Any], kinds: Mapping[str, Kind], newer: Collection[str] = ()
) -> dict[str, Any]:
    """Returns the settings that `kinds` names.

    Args:
        settings: The settings in kbert.json.
        kinds: The function that checks each setting, by name.
        newer: The settings that may be missing; they are then left out of the result.

    Raises:
        KeyError: A setting is missing.
        TypeError: A setting has another type.
    """
    values = {}
    for name, kind in kinds.items():
        if name in newer and name not in settings:
            continue
        try:
            values[name] = kind(settings[name])
        except TypeError as problem:
            raise TypeError(f"{name} must be {problem}. Received: {shown(settings[name])}") from None
    return values


def flag(value: Any) -> bool:
    """Returns the value if it is a bool."""
    if not isinstance(value, bool):
        raise TypeError("true or false")
    return value


def string(value: Any) -> str:
    """Returns the value if it is a string."""
    if not isinstance(value, str):
        raise TypeError("a string")
    return value


def count(value: Any) -> int:
    """Returns the value if it is an integer."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("a whole number")
    return value


def count_or_none(value: Any) -> int | None:
    """Returns the value if it is an integer or None."""
    return None if value is None else count(value)


def string_or_none(value: Any) -> str | None:
    """Returns the value if it is a string or None."""
    return None if value is None else string(value)


def number(value: Any) -> float:
    """Returns the value as a float if it is a number."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError):  # an integer may be too large for a float
            return float(value)
    raise TypeError("a number")


def numbers(value: Any) -> list[float]:
    """Returns the value as floats if it is a list of numbers."""
    if not isinstance(value, list):
        raise TypeError("a list of numbers")
    return [number(each) for each in value]


def names(value: Any) -> list[str]:
    """Returns the value if it is a list of strings."""
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise TypeError("a list of strings")
    return value


def named_strings(value: Any) -> dict[str, str]:
    """Returns the value as a dict if it is an object with strings as values."""
    if not isinstance(value, Mapping) or not all(isinstance(each, str) for each in value.values()):
        raise TypeError("an object of strings")
    return dict(value)


def named_counts(value: Any) -> dict[str, list[int]]:
    """Returns the value as a dict of lists if it is an object with lists of integers as values."""
    if not isinstance(value, Mapping) or not all(isinstance(each, list) for each in value.values()):
        raise TypeError("an object of lists of whole numbers")
    return {name: [count(each) for each in listed] for name, listed in value.items()}


def named_numbers(value: Any) -> dict[str, float]:
    """Returns the value as a dict of floats if it is an object with numbers as values."""
    if not isinstance(value, Mapping):
        raise TypeError("an object of numbers")
    return {name: number(each) for name, each in value.items()}
