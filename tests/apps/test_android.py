"""The logic of the Android app gives the answers that kbert gives. Debian's packages compile it for a JVM."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "apps" / "android"
SOURCES = FOLDER / "logic" / "src"
JARS = Path("/usr/share/java")
JSON, KOTLIN = JARS / "com.android.json.jar", JARS / "kotlin-stdlib.jar"
JUNIT = (JARS / "junit4.jar", JARS / "hamcrest.jar")
FUNCTIONS = "codePoints softmax topLabels words entities bestSpans answer nextWindow settings".split()

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The class path of the compiled logic, of the program that answers cases, and of the unit tests."""
    needed = [tool for tool in ("kotlinc", "java") if not shutil.which(tool)]
    needed += [str(jar) for jar in (JSON, KOTLIN, *JUNIT) if not jar.exists()]
    if needed:
        packages = "kotlin libandroid-json-java junit4"
        pytest.skip(f"needs {', '.join(needed)}: apt-get install --no-install-recommends {packages}")
    jar = tmp_path_factory.mktemp("kotlin") / "logic.jar"
    libraries = ":".join(map(str, (JSON, *JUNIT)))
    sources = [str(path) for path in SOURCES.rglob("*.kt")]
    done = subprocess.run(
        ["kotlinc", "-cp", libraries, *sources, "-d", str(jar)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert ": warning:" not in done.stderr
    return f"{jar}:{KOTLIN}:{libraries}"


@pytest.fixture(scope="module")
def answers(program, phone_cases, answers_of):
    return answers_of(["java", "-cp", program, "com.example.kbert.logic.CheckKt"], phone_cases)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_answers_are_those_of_kbert(function, phone_cases, answers, check_answers):
    assert set(phone_cases) == set(FUNCTIONS)
    check_answers(phone_cases[function], answers[function])


def test_the_unit_tests_of_the_app_pass(program):
    command = ["java", "-cp", program, "org.junit.runner.JUnitCore", "com.example.kbert.logic.LogicTest"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert int(re.search(r"OK \((\d+) tests\)", done.stdout)[1]) >= 10
