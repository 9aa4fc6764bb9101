"""The environments of tox run files that exist, and there is one for each marker of tests."""

import configparser
import re
from pathlib import Path

FOLDER = Path(__file__).parents[1]


def commands():
    config = configparser.ConfigParser(interpolation=None)
    config.read(FOLDER / "tox.ini")
    return {name: config[name].get("commands", "") for name in config.sections()}


def test_files_exist():
    named = [word for text in commands().values() for word in re.findall(r"\b(?:tests|benchmarks)/\S+", text)]
    assert "benchmarks/corpus.py" in named
    assert [word for word in named if not (FOLDER / word).exists()] == []


def test_every_marker_has_an_environment():
    text = (FOLDER / "pyproject.toml").read_text() + (FOLDER / "setup.cfg").read_text()
    markers = re.findall(r"^ +\"?(\w+): ", text[text.index("markers") :].split("]")[0], re.MULTILINE)
    assert {"slow", "chaos", "peers", "weights"} <= set(markers)
    run = " ".join(commands().values())
    assert [marker for marker in markers if f"-m {marker}" not in run and f'-m "{marker} ' not in run] == []
