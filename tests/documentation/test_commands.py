"""Every command line in the pages is valid: its program, options, choices and required arguments exist.

Nothing is run here; `test_sessions.py` runs the commands of the site.
"""

import pkgutil
import re
import shlex

import click
import pytest
from documentation.blocks import PAGES, Command, blocks_of, commands_of, name_of, prose_of
from documentation.commands import (
    APPS,
    app_options,
    benchmark_options,
    check_curl,
    check_pip,
    check_script,
    check_tox,
    command_of,
    extras,
    extras_in,
    kbert_options,
    options_of,
    parsed,
    stop,
)
from documentation.not_run import FOREIGN_OPTIONS, FOREIGN_PROGRAMS, NOT_REGISTERED

import kbert
import kbert.cli
from kbert.errors import KbertError, UsageError

CHECKS = {"pip": check_pip, "tox": check_tox, "curl": check_curl, "python": check_script}


@pytest.fixture
def without_files(monkeypatch):
    """Commands do not look for their files, and stop before they import TensorFlow."""
    monkeypatch.setattr(click.Path, "convert", lambda self, value, param, ctx: value)
    for module in pkgutil.iter_modules(kbert.cli.__path__, "kbert.cli."):
        for name in ("import_tensorflow", "import_tensorflow_for"):
            monkeypatch.setattr(f"{module.name}.{name}", stop, raising=False)


def commands_in(path):
    return [command for block in blocks_of(path) if block.language == "sh" for command in commands_of(block)]


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_commands_are_valid(path, without_files):
    for command in commands_in(path):
        if any(each.fits(command.page, shlex.join(command.words)) for each in NOT_REGISTERED):
            continue
        program = command.program
        try:
            if program == "kbert":
                parsed(command.words[1:])
            elif program in APPS:
                parsed(command.words[3:], _group(program), run=False)
            elif program not in FOREIGN_PROGRAMS:
                CHECKS[program](command)
        except (click.ClickException, KbertError, AssertionError, KeyError) as problem:
            message = getattr(problem, "message", None) or problem
            raise AssertionError(f"{command}\n{message}") from problem


def _group(program):
    import importlib

    return importlib.import_module(APPS[program]).main


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("export litert classifier --output a.tflite --quantise int8", "No such option"),
        ("export litert classifier --output a.tflite --quantize int3", "is not one of"),
        ("export litert classifier", "Missing parameter: output"),
        ("finetune classification --model tiny --train a.csv --output RUN", "give one of --validation FILE"),
        ("finetune classification --model tiny --train a --validation b --output c --batch-size 0", "at least 1"),
        ("launch --workers 2 -- pretrain --corpse a", "No such option"),
        ("export onnx classifier", "names no command of the group export"),
        ("predict classifier", "expected TEXTs, or --input FILE"),
    ],
)
def test_invalid_commands_are_found(line, message, without_files):
    with pytest.raises((click.ClickException, KbertError, AssertionError)) as raised:
        parsed(shlex.split(line))
    assert message in str(getattr(raised.value, "command_line_message", raised.value))


def test_an_app_has_its_own_options(without_files):
    with pytest.raises(click.NoSuchOption):
        parsed(["recommend", "films", "--modle", "a"], _group("python -m apps.recommender"), run=False)


# === Code within sentences ===


CURRENT = [path for path in PAGES if path.name != "CHANGELOG.md"]
"""The pages about this version; the changelog also names what earlier versions had."""


def spans_of(path):
    return re.findall(r"`([^`\n]+)`", prose_of(path))


@pytest.mark.parametrize("path", CURRENT, ids=name_of)
def test_commands_in_sentences_exist(path, without_files):
    for span in spans_of(path):
        if span == "kbert" or not span.startswith("kbert ") or span.startswith(("kbert COMMAND", "kbert.")):
            continue
        words = shlex.split(span.replace("…", ""))[1:]
        try:
            command, rest = command_of(words)
        except UsageError:  # a task that is not fine-tuned
            command, rest = None, []
        assert command is not None, span
        assert command.name != "main" or rest == ["--help"], f"{span}: there is no such command"
        if "--output" in rest:
            parsed(words)
        elif command.name != "launch":
            given = {word.partition("=")[0] for word in rest if word.startswith("--")}
            assert not given or given <= options_of(command), span


@pytest.mark.parametrize("path", CURRENT, ids=name_of)
def test_options_in_sentences_exist(path):
    name = name_of(path)
    known = set(kbert_options())
    if name.startswith("apps/") or name == "docs/applications.md":
        known |= app_options()
    if name == "benchmarks/README.md":
        known |= benchmark_options()
    for span in spans_of(path):
        words = shlex.split(span) if re.match(r"(pip|tox|python|benchmarks/\w+\.py) ", span) else []
        if words and words[0].startswith("benchmarks/"):
            words = ["python", *words]
        if words and words[:2] != ["python", "-m"]:
            CHECKS[words[0]](Command(name, 0, tuple(words)))
            continue
        for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", span):
            assert option in known or (name, option) in FOREIGN_OPTIONS, f"{span}: {option}"


@pytest.mark.parametrize("path", CURRENT, ids=name_of)
def test_names_in_sentences_exist(path):
    modules = {module.name.partition(".")[2] for module in pkgutil.iter_modules(kbert.__path__, "kbert.")}
    for span in spans_of(path):
        for name in re.findall(r"(?<![\w/.])kbert\.([A-Za-z]\w*)", span):
            assert name in kbert.__all__ or name in modules or name in ("json", "safetensors", "formats"), span


@pytest.mark.parametrize("path", CURRENT, ids=name_of)
def test_extras_exist(path):
    assert extras_in(path.read_text(encoding="utf-8")) <= extras()


# === The lists of exceptions are not longer than they must be ===


def test_foreign_programs_are_used():
    used = {command.program for path in PAGES for command in commands_in(path)}
    assert set(FOREIGN_PROGRAMS) <= used
    assert not set(FOREIGN_PROGRAMS) & {*CHECKS, *APPS, "kbert"}
    assert all(len(reason) > 20 for reason in FOREIGN_PROGRAMS.values())


def test_foreign_options_are_used():
    pages = {name_of(path): spans_of(path) for path in PAGES}
    for (page, option), reason in FOREIGN_OPTIONS.items():
        assert any(option in span for span in pages[page]), option
        assert option not in kbert_options() | (app_options() if page.startswith("apps/") else set()), option
        assert len(reason) > 20


def test_commands_that_are_not_registered_are_used():
    found = [(command.page, shlex.join(command.words)) for path in PAGES for command in commands_in(path)]
    for each in NOT_REGISTERED:
        assert any(each.fits(*place) for place in found), each
