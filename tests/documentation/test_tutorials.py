"""The pages that readers follow step by step, run as they stand there."""

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from kbert.cli.main import main

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


def make_data(page="first-hour.md"):
    """Runs the program that makes the data of the first hour, in the current folder; returns what it prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(blocks(page, "python")[0], page, "exec"), {})
    return printed.getvalue()


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(command):
    """Runs a command of the page, which must end well; returns everything that it prints."""
    result = CliRunner().invoke(main, shlex.split(command)[1:], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_data_of_the_first_hour_is_what_the_page_says(here):
    printed = make_data()
    assert printed in (DOCS / "first-hour.md").read_text(encoding="utf-8")
    assert (here / "train.csv").read_text(encoding="utf-8").count("\n") == 241
    assert (here / "test.csv").read_text(encoding="utf-8").count("\n") == 61


def test_the_pages_in_chinese_have_the_same_programs_and_commands():
    for page in ("first-hour.md", "index.md"):
        for language in ("python", "sh"):
            assert blocks(f"zh/{page}", language) == blocks(page, language)


def test_the_first_commands_of_the_first_hour_print_what_the_page_says(here):
    make_data()
    page = (DOCS / "first-hour.md").read_text(encoding="utf-8")
    commands = [line for block in blocks("first-hour.md", "sh") for line in joined(block) if "kbert" in line]
    for start in ("kbert vocab train", "kbert vocab inspect", "kbert corpus build"):
        command = next(line for line in commands if line.startswith(start))
        printed = run(command)
        assert printed.strip(), command
        for line in printed.strip().splitlines():
            assert line.strip() in page, line


@pytest.mark.slow
def test_the_first_hour_ends_with_a_good_classifier(here):
    make_data()
    for block in blocks("first-hour.md", "sh"):
        for line in joined(block):
            if line.startswith("kbert ") and not line.startswith(("kbert serve", "kbert --version")):
                run(line)
    assert (here / "classifier" / "report.html").is_file()
    assert (here / "saved_models" / "requests" / "1" / "saved_model.pb").is_file()
    assert (here / "requests.tflite").is_file()
    assert '"accuracy": 1.0' in run("kbert evaluate classifier --data test.csv --json")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_page_for_keras_runs_from_top_to_bottom(here):
    names = {}
    for place, block in enumerate(blocks("keras-first-steps.md", "python")):
        exec(compile(block, f"block {place} of keras-first-steps.md", "exec"), names)
    assert names["history"].history["accuracy"][-1] > 0.9
    answer = names["kbert"].load("films").predict(["a warm story"])[0]
    assert answer["label"] == "good"
    assert (here / "saved_models" / "films" / "1" / "saved_model.pb").is_file()


def joined(block):
    """Returns the lines of a block; a line that ends with a backslash goes on in the next one."""
    return block.replace("\\\n", " ").splitlines()
