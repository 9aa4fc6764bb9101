"""What a bundle says of a task, and what each value of it may be: bundles may be anyone's."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping
from typing import Any

from kbert.errors import shown

Kind = Callable[[Any], Any]
"""Gives a value of JSON as what a task keeps; TypeError says what was expected."""


def read_settings(
    settings: Mapping[str, Any], kinds: Mapping[str, Kind], newer: Collection[str] = ()
) -> dict[str, Any]:
    """The values that `kinds` names; without those of `newer` that are not there.

    Raises:
        KeyError: A value is not there.
        TypeError: A value is of another kind.
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
    """True or false."""
    if not isinstance(value, bool):
        raise TypeError("true or false")
    return value


def string(value: Any) -> str:
    """A string."""
    if not isinstance(value, str):
        raise TypeError("a string")
    return value


def count(value: Any) -> int:
    """A whole number."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("a whole number")
    return value


def count_or_none(value: Any) -> int | None:
    """A whole number, or null."""
    return None if value is None else count(value)


def number(value: Any) -> float:
    """A number."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError):  # of whole numbers without end
            return float(value)
    raise TypeError("a number")


def numbers(value: Any) -> list[float]:
    """A list of numbers."""
    if not isinstance(value, list):
        raise TypeError("a list of numbers")
    return [number(each) for each in value]


def names(value: Any) -> list[str]:
    """A list of strings."""
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise TypeError("a list of strings")
    return value


def named_strings(value: Any) -> dict[str, str]:
    """An object of strings."""
    if not isinstance(value, Mapping) or not all(isinstance(each, str) for each in value.values()):
        raise TypeError("an object of strings")
    return dict(value)


def named_numbers(value: Any) -> dict[str, float]:
    """An object of numbers."""
    if not isinstance(value, Mapping):
        raise TypeError("an object of numbers")
    return {name: number(each) for name, each in value.items()}
