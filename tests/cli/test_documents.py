"""The commands in the documentation are valid on the command line."""

import re
import shlex
from pathlib import Path

import click
import pytest

from kbert.cli.main import main

_FOLDER = Path(__file__).parents[2]
_DOCUMENTS = [path for path in (_FOLDER / "README.md", *sorted((_FOLDER / "docs").rglob("*.md"))) if path.exists()]


def commands(path):
    for block in re.findall(r"```sh\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("kbert "):
                words = shlex.split(line, comments=True)[1:]
                yield words[: words.index("--")] if "--" in words else words


@pytest.mark.parametrize("path", _DOCUMENTS, ids=lambda path: path.name)
def test_commands_have_the_options_that_documents_give_them(path):
    for words in commands(path):
        command, rest = main, list(words)
        while isinstance(command, click.Group) and rest and rest[0] != "TASK":
            name = rest.pop(0)
            command = command.get_command(click.Context(command), name)
            assert command is not None, words
        if not isinstance(command, click.Group):
            known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
            assert {word.split("=")[0] for word in rest if word.startswith("--")} <= known, words
