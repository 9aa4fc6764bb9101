"""Errors about options, whose messages spell options as in Python or as on the command line."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Protocol

from kbert.errors import UsageError, shown
from kbert.options.option_info import REQUIRED, OptionInfo, as_json, as_typed


class Spell(Protocol):
    """A function that spells an option, or an option with its value, as users write it."""

    def __call__(self, name: str, value: Any = REQUIRED, /) -> str:
        """Returns `batch_size` or `batch_size=32` (Python), `--batch-size` or `--batch-size 32` (command line)."""


class OptionError(UsageError):
    """An option is invalid. The message spells it as in Python; the command line prints `command_line_message`.

    Args:
        message: The message for Python.
        command_line_message: The same message, with options spelled as on the command line.
    """

    def __init__(self, message: str, command_line_message: str) -> None:
        super().__init__(message)
        self.command_line_message = command_line_message


def option_error(write: Callable[[Spell], str], infos: Mapping[str, OptionInfo] | None = None) -> OptionError:
    """Returns an error whose message spells options as in Python or as on the command line.

    Args:
        write: Returns the message, given a function that spells options.
        infos: The options whose spelling does not follow from their names.

    Example:
        >>> error = option_error(lambda spell: f"{spell('steps')} must be odd. Received: {spell('steps', 4)}")
        >>> str(error)
        'steps must be odd. Received: steps=4'
        >>> error.command_line_message
        '--steps must be odd. Received: --steps 4'
    """
    known = infos or {}

    def typed(name: str, value: Any = REQUIRED, /) -> str:
        info = known.get(name) or OptionInfo(name)
        return info.spelling if value is REQUIRED else as_typed(info, value)

    return OptionError(write(_in_python), write(typed))


def invalid(info: OptionInfo, problem: str, value: Any) -> OptionError:
    """Returns the error for an option with an invalid value."""
    return option_error(
        lambda spell: f"{spell(info.name)} {problem}. Received: {spell(info.name, value)}", {info.name: info}
    )


def refuse_unknown(function: str, given: Iterable[str], known: Collection[str]) -> None:
    """Checks that all keywords of a function are known.

    Raises:
        UsageError: A keyword is unknown. The message names the most similar option.
    """
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else f"; it has {', '.join(known)}"
            raise UsageError(f"{function} has no option {name!r}{hint}")


def _in_python(name: str, value: Any = REQUIRED, /) -> str:
    return name if value is REQUIRED else f"{name}={shown(as_json(value))}"
