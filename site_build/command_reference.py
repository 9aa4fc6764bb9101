"""A page for each command of the `kbert` program, made from its declarations in Click."""

from __future__ import annotations

import functools
import html
import inspect
import re
from collections.abc import Iterator

import click

from kbert.cli.main import main

FOLDER = "commands"
_NAMES = ("-h", "--help")


@functools.lru_cache(maxsize=1)
def command_pages() -> dict[str, str]:
    """Returns the text of each page by its path: one page for each command of the program."""
    context = click.Context(main, info_name="kbert")
    return {
        f"{FOLDER}/{name}.md": "\n".join(_lines(main.get_command(context, name), f"kbert {name}", 1))
        for name in main.list_commands(context)
    }


def _lines(command: click.Command | None, name: str, level: int) -> Iterator[str]:
    """Yields the lines about a command and about the commands in it."""
    assert command is not None, name
    context = click.Context(command, info_name=name)
    yield f"{'#' * level} {name}"
    yield ""
    yield _text(inspect.cleandoc(command.help or ""))
    yield ""
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            yield from _lines(command.get_command(context, each), f"{name} {each}", level + 1)
        return
    yield "```text"
    yield context.get_usage().removeprefix("Usage: ")
    yield "```"
    yield ""
    rows = [row for parameter in command.get_params(context) if (row := _row(parameter, context))]
    if rows:
        yield "| option | meaning |"
        yield "|---|---|"
        yield from rows
        yield ""


def _row(parameter: click.Parameter, context: click.Context) -> str | None:
    """Returns the row of the table for an option, as `--help` describes it."""
    if isinstance(parameter, click.Argument) or any(name in parameter.opts for name in _NAMES):
        return None
    record = parameter.get_help_record(context)
    if record is None:
        return None
    spelling, help_ = (" ".join(part.split()) for part in record)
    return f"| <code>{html.escape(spelling).replace('|', '&#124;')}</code> | {_cell(_text(help_))} |"


def _text(help_: str) -> str:
    """Returns a help text in Markdown: what stands for a value or a pattern is not read as a tag or as emphasis."""
    help_ = help_.replace("\b\n", "")
    return re.sub(r"(?<!`)([<*_\[\]])(?![^`\n]*`(?:[^`\n]*`[^`\n]*`)*[^`\n]*$)", r"\\\1", help_)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
