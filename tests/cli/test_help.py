"""The help of the commands: every option is explained by a sentence, and stands under the right heading."""

import re

import click
import pytest
from click.testing import CliRunner

from kbert.cli.main import main
from kbert.tasks.catalogue import TASKS

TRAINED = [name for name, info in TASKS.items() if info.trainable]


def commands(group=main, path=()):
    """All commands by their words, such as "corpus build", groups included."""
    found = {" ".join(path): group}
    if isinstance(group, click.Group):
        for name in group.list_commands(click.Context(group)):
            found |= commands(group.get_command(click.Context(group), name), (*path, name))
    return found


COMMANDS = commands()


def is_sentence(text):
    """Whether a text is a sentence or more; it may begin with the choices, as in "fail: stop at …"."""
    return bool(re.match(r"[A-Z]|[a-z0-9-]+( or [a-z0-9-]+)?: ", text)) and " " in text and text.endswith(".")


def help_sections(*arguments):
    """The lines of the help by heading."""
    result = CliRunner().invoke(main, [*arguments, "--help"], terminal_width=500)
    assert result.exit_code == 0, result.output
    sections = {}
    for line in result.output.splitlines():
        if re.fullmatch(r"[A-Z]\w*:", line):
            sections[line[:-1]] = lines = []
        elif sections and line.strip():
            lines += re.findall(r"^  (?:-\w, )?(--[\w-]+)", line)
    return sections


def test_all_commands_are_found():
    assert {"corpus build", "finetune classification", "tune ranking", "index build", "convert"} <= COMMANDS.keys()
    assert len(COMMANDS) > 30


@pytest.mark.parametrize("name", COMMANDS, ids=lambda name: name or "kbert")
def test_every_command_and_every_option_has_a_sentence(name):
    command = COMMANDS[name]
    assert is_sentence(command.help.split("\n\n")[0].replace("\n", " "))
    # The default is shown behind the sentence.
    helps = {param.opts[-1]: (param.help or "") for param in command.params if isinstance(param, click.Option)}
    assert {option: text for option, text in helps.items() if not is_sentence(text.partition("  [")[0])} == {}


@pytest.mark.parametrize("text", ["", "Whether", "whether.", "The number of processes"])
def test_what_is_no_sentence(text):
    assert not is_sentence(text)


@pytest.mark.parametrize("name", ["finetune", "tune"])
@pytest.mark.parametrize("task", TRAINED)
def test_columns_have_a_heading(name, task):
    sections = help_sections(name, task)
    columns = [f"--{column.role}-column" for column in TASKS[task].columns]
    assert sections["Columns"] == columns + ["--label-columns"] * (task == "multilabel")
    assert sections["Options"] == ["--help"]
    assert list(sections)[-1] == "Options"


@pytest.mark.parametrize(("name", "own"), [("evaluate", "--data"), ("predict", "--input")], ids=["evaluate", "predict"])
def test_columns_have_a_heading_where_a_model_reads_a_file(name, own):
    sections = help_sections(name)
    assert sections["Options"][0] == own
    assert "--text-column" in sections["Columns"]
    assert "--delimiter" in sections["Files"]
    elsewhere = [option for heading, found in sections.items() if heading != "Columns" for option in found]
    assert not [option for option in elsewhere if option.endswith(("-column", "-columns"))]
