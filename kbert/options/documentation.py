"""The docstrings of options classes and functions, and the help texts of commands, which follow from the options."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Mapping, Sequence

from kbert.options.declaration import OptionsType, option_infos
from kbert.options.option_info import OptionInfo

_WIDTH = 120


def with_documented_fields(kind: type[OptionsType]) -> type[OptionsType]:
    """Adds a line for each option to the docstring of an `Options` class."""
    lines = [_described(info) for info in option_infos(kind).values()]
    head, marker, tail = inspect.cleandoc(kind.__doc__ or "").partition("\nExample:")
    kind.__doc__ = "\n".join([head.rstrip(), "", "Args:", *lines]) + (f"\n{marker}{tail}" if marker else "\n")
    return kind


def documented(docstring: str, infos: Mapping[str, OptionInfo]) -> str:
    """Returns the docstring of a function with a line for each option, before the line for `options`."""
    lines = "".join(f"{_described(info)}\n" for info in infos.values())
    docstring = re.sub(r"^    given: .*\n", "", docstring, flags=re.MULTILINE)
    before, mark, after = docstring.partition("    options: ")
    if not mark:
        raise TypeError("the docstring must have a line for `options` under Args")
    return before + lines + mark + after


def _described(info: OptionInfo) -> str:
    """Returns the docstring line of an option."""
    parts = [info.help]
    if len(info.choices) > 1:
        parts.append(_listed(info.choices))
    if info.details:
        parts.append(info.details)
    if info.default_help:
        parts.append(f"The default is {info.default_help}.")
    return textwrap.fill(
        f"{info.name}: {' '.join(parts)}",
        _WIDTH,
        initial_indent=" " * 4,
        subsequent_indent=" " * 8,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _listed(choices: Sequence[str]) -> str:
    choices = [f'"{choice}"' for choice in choices]
    return f"Either {' or '.join(choices)}." if len(choices) == 2 else f"One of {', '.join(choices)}."


def command_text(text: str, infos: Mapping[str, OptionInfo]) -> str:
    """Returns a help text in which options in backticks are spelled as on the command line."""
    return re.sub(r"`(\w+)`", lambda found: infos[found[1]].spelling if found[1] in infos else found[0], text)
