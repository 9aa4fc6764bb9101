"""Checks of single commands without running them: programs, options, choices and required arguments exist."""

import ast
import configparser
import contextlib
import functools
import importlib
import json
import re

import click
from documentation.blocks import REPOSITORY

from kbert.cli.main import main
from kbert.cli.tensorflow_serving_flags import _SWITCHES, _VALUES
from kbert.tasks.catalogue import TASKS

APPS = {
    "python -m apps.customer_service": "apps.customer_service.cli",
    "python -m apps.recommender": "apps.recommender.commands",
    "python -m apps.sentiment_monitor": "apps.sentiment_monitor.commands",
}
"""The modules with the Click command `main` of each app."""
CHECKING = {
    *("audit", "calibrate", "convert", "distill", "evaluate", "explain", "predict", "pretrain", "prune"),
    *("export litert", "export saved-model"),
    *(f"finetune {name}" for name, info in TASKS.items() if info.trainable),
}
"""The commands that check all of their options before they import TensorFlow and read files."""


class Checked(Exception):
    """A command has checked its options, and would import TensorFlow next."""


def stop(*_, **__):
    """Stands in place of the functions that import TensorFlow."""
    raise Checked


def parsed(words, group=main, *, run=True):
    """Parses a command as its program does; files need not exist.

    The caller replaces `click.Path.convert` and the functions that import TensorFlow (see `test_commands.py`).

    Args:
        words: The words after the name of the program.
        group: The group of the program's commands.
        run: Whether to call the command if it checks its options before it imports TensorFlow.

    Raises:
        click.ClickException: An option does not exist, a value is not among the choices, or an argument is missing.
        KbertError: The options class of the command refuses a value, or a combination of options.
    """
    command, rest = command_of(words, group)
    name = " ".join(words[: len(words) - len(rest)])
    assert not isinstance(command, click.Group), f"{' '.join(words)} names no command of the group {command.name}"
    with command.make_context(command.name, rest) as context:
        if "command" in context.params and command.name == "launch":
            parsed(context.params["command"], group, run=run)
        elif run and name in CHECKING:
            with contextlib.suppress(Checked):
                command.invoke(context)


def command_of(words, group=main):
    """Returns the command that the first words name, and the remaining words."""
    command, rest = group, list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        found = command.get_command(click.Context(command), rest[0])
        if found is None:
            break
        command, rest = found, rest[1:]
    return command, rest


def options_of(command):
    """Returns the options of a command, or of all commands of a group."""
    if isinstance(command, click.Group):
        names = command.list_commands(click.Context(command))
        found = [options_of(command.get_command(click.Context(command), name)) for name in names]
        return {"--help", "--version"}.union(*found)
    spellings = (spelling for each in command.params for spelling in (*each.opts, *each.secondary_opts))
    return {"--help"} | {spelling for spelling in spellings if spelling.startswith("--")}


@functools.cache
def kbert_options():
    """Returns the options of all commands of kbert, and the flags of TensorFlow Serving that `kbert serve` takes."""
    return options_of(main) | {f"--{flag}" for flag in (*_VALUES, *_SWITCHES)}


@functools.cache
def app_options():
    """Returns the options of the apps and of their clients."""
    groups = [importlib.import_module(module).main for module in APPS.values()]
    return set().union(*map(options_of, groups), script_options(REPOSITORY / "apps" / "tf_serving" / "client.py"))


@functools.cache
def script_options(path):
    """Returns the options that a Python program, or a module beside it that it imports, declares."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    arguments = [argument for node in nodes if isinstance(node, ast.Call) for argument in node.args]
    texts = {each.value for each in arguments if isinstance(each, ast.Constant) and isinstance(each.value, str)}
    found = {text for text in texts if re.fullmatch(r"--[a-z][\w-]*", text)}
    imported = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    imported += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    beside = [path.with_name(f"{name}.py") for name in imported if path.with_name(f"{name}.py").is_file()]
    return found.union(*map(script_options, beside))


@functools.cache
def benchmark_options():
    """Returns the options of all benchmarks."""
    return set().union(*map(script_options, (REPOSITORY / "benchmarks").glob("*.py")))


@functools.cache
def extras():
    """Returns the names of the extras of kbert, such as hub."""
    settings = configparser.ConfigParser()
    settings.read(REPOSITORY / "setup.cfg", encoding="utf-8")
    return set(settings["options.extras_require"])


# === What the words of a program other than kbert must be ===


def check_script(command):
    """Checks a command `python PATH …`: the program exists, and declares the options."""
    page, name = REPOSITORY / command.page, command.words[1]
    if f"`{name}`" in page.read_text(encoding="utf-8"):
        return  # the reader saves a block of the page in this file
    path = next((each for each in (page.parent / name, REPOSITORY / name) if each.is_file()), None)
    assert path is not None, f"there is no {name}"
    given = {word.partition("=")[0] for word in command.words if word.startswith("--")}
    assert given <= script_options(path.resolve())


def check_pip(command):
    """Checks a command `pip install …`: the extras of kbert exist."""
    assert command.words[1] == "install"
    assert extras_in(" ".join(command.words)) <= extras()


def extras_in(text):
    """Returns the extras that are named in a text, as in "kbert[hub]" or "'.[hub,tune]'"."""
    found = re.findall(r"(?:\bkbert|(?<=['\s])\.)\[([\w,]+)\]", text)
    return {name for names in found for name in names.split(",")}


def check_tox(command):
    """Checks a command `tox -e NAME`: tox.ini has this environment."""
    text = (REPOSITORY / "tox.ini").read_text(encoding="utf-8")
    names = set(re.findall(r"^\[testenv:([\w-]+)\]", text, re.MULTILINE)) | {"py310", "py311", "py312", "py313"}
    assert command.words[1:] == () or command.words[2] in names


def check_curl(command):
    """Checks a command `curl …`: it names one address, and what it sends is JSON."""
    words = list(command.words[1:])
    assert sum(word.startswith("http://") for word in words) == 1
    if "-d" in words:
        json.loads(words[words.index("-d") + 1])
