"""The logic of the iOS app gives the answers that kbert gives. It needs no Apple software, only a Swift toolchain."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "apps" / "ios" / "KbertLogic"
FUNCTIONS = "codePoints softmax topLabels words entities bestSpans answer nextWindow settings".split()

pytestmark = pytest.mark.slow


def is_text(case):
    """Whether the text of a case is one that Swift can represent: without half a surrogate pair."""
    return not any(0xD800 <= ord(character) <= 0xDFFF for character in case.get("text", ""))


@pytest.fixture(scope="module")
def swift(tmp_path_factory):
    """A function that runs a command of Swift on the package, and gives its output."""
    if not shutil.which("swift"):
        pytest.skip("needs a Swift toolchain: https://www.swift.org/install, or the package swiftlang of Debian 13")
    options = ["--package-path", str(FOLDER), "--scratch-path", str(tmp_path_factory.mktemp("swift"))]

    def run(command, *arguments):
        done = subprocess.run(
            ["swift", command, *options, *arguments], capture_output=True, text=True, encoding="utf-8", check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    run.options = options
    return run


@pytest.fixture(scope="module")
def cases(phone_cases):
    return {name: [(case, answer) for case, answer in group if is_text(case)] for name, group in phone_cases.items()}


@pytest.fixture(scope="module")
def answers(swift, cases, answers_of):
    assert "warning:" not in swift("build")
    return answers_of(["swift", "run", *swift.options, "--skip-build", "CheckKbertLogic"], cases)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_answers_are_those_of_kbert(function, cases, answers, check_answers):
    assert set(cases) == set(FUNCTIONS)
    check_answers(cases[function], answers[function])


def test_the_unit_tests_of_the_app_pass(swift):
    output = swift("test")
    assert int(re.search(r"Executed (\d+) tests, with 0 failures", output)[1]) >= 10
