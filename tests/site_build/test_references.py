"""The pages of the site that are made from the code: a page for each command, and the names of the Python API."""

import importlib.util
import re
from pathlib import Path

import click
import pytest

import kbert
from kbert.cli.main import main
from kbert.options import option_infos

FOLDER = Path(__file__).parents[2] / "site_build"


def loaded(name):
    spec = importlib.util.spec_from_file_location(f"site_build_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def command_pages():
    return loaded("command_reference").command_pages()


def leaves(command, name):
    """Yields the commands that do something, with their full names."""
    if isinstance(command, click.Group):
        for each in command.list_commands(click.Context(command)):
            yield from leaves(command.get_command(click.Context(command), each), f"{name} {each}")
    else:
        yield name, command


def test_every_command_and_every_option_is_described(command_pages):
    text = "\n".join(command_pages.values())
    for name, command in leaves(main, "kbert"):
        found = re.search(rf"^#+ {re.escape(name)}$(.*?)(?=^#+ |\Z)", text, re.MULTILINE | re.DOTALL)
        assert found, name
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                assert f"{parameter.opts[-1]}" in found[1], (name, parameter.opts)


def test_the_page_of_a_command_has_its_usage_and_its_options_with_defaults(command_pages):
    page = command_pages["commands/search.md"]
    assert page.startswith("# kbert search\n")
    assert "\n```text\nkbert search [OPTIONS] INDEX [QUERY...]\n```\n" in page
    assert "| <code>--top INTEGER</code> | The number of results for each query. \\[default: 5; at least 1\\] |" in page


def test_every_public_name_is_in_the_reference_once():
    text = "\n".join(loaded("api_reference").api_pages().values())
    for name in kbert.__all__:
        if not name.startswith("__"):
            assert len(re.findall(rf"^(?:::: kbert\.|## ){re.escape(name)}$", text, re.MULTILINE)) == 1, name


def test_options_are_listed_with_their_defaults():
    page = loaded("api_reference").api_pages()["api/prediction.md"]
    assert "\n## EvaluateOptions\n" in page
    for name in option_infos(kbert.EvaluateOptions):
        assert f"\n| `{name}` | " in page
