"""The example task of docs/adding-a-task.md, in its own package, used by the `kbert` program."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "adding-a-task.md").read_text(encoding="utf-8")


@pytest.fixture
def program(tmp_path):
    """The `kbert` program, where the package is installed: its folder and its entry points are on the path."""
    described, task = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (entry_point,) = re.findall(r'```toml\n\[project.entry-points."kbert.tasks"\]\n(.*?)```', PAGE, re.DOTALL)
    site = tmp_path / "site"
    (site / "kbert_stars").mkdir(parents=True)
    (site / "kbert_stars" / "__init__.py").write_text(described)
    (site / "kbert_stars" / "task.py").write_text(task)
    (site / "kbert_stars-1.0.dist-info").mkdir()
    (site / "kbert_stars-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: kbert-stars\nVersion: 1.0\n"
    )
    (site / "kbert_stars-1.0.dist-info" / "entry_points.txt").write_text(
        "[kbert.tasks]\n" + entry_point.replace('"', "")
    )

    def run(*arguments, check=True):
        path = os.pathsep.join([str(site), *sys.path])
        return subprocess.run(
            [sys.executable, "-m", "kbert", *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": path},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=check,
        )

    return run


@pytest.mark.long
def test_a_task_of_another_package_is_learnt_answered_and_exported(program, pretrained, tmp_path):
    assert "a number of stars for a text" in program("finetune", "--help").stdout
    rows = [("the cat sat .", 1), ("a dog ran .", 3), ("the dog sat .", 1), ("the cat ran .", 3), ("a cat sat !", 1)]
    (tmp_path / "rows.csv").write_text("text,label\n" + "".join(f"{text},{stars}\n" for text, stars in rows * 4))
    options = ["--train", "rows.csv", "--validation", "rows.csv", "--epochs", 8, "--batch-size", 5]
    program("finetune", "stars", "--model", pretrained, "--output", "RUN", "--learning-rate", 3e-3, *options)
    metrics = json.loads(program("evaluate", "RUN", "--data", "rows.csv", "--json").stdout)
    assert metrics["examples"] == 20
    assert metrics["mae"] < 0.5
    (answer,) = map(json.loads, program("predict", "RUN", "the cat sat .", "--json").stdout.splitlines())
    assert answer["stars"] == 1
    assert 1 <= answer["expected"] < 2
    program("export", "saved-model", "RUN", "--output", "saved/stars")
    assert (tmp_path / "saved" / "stars" / "1" / "saved_model.pb").is_file()


@pytest.mark.long
def test_a_label_that_is_none_is_told_with_its_line(program, pretrained, tmp_path):
    (tmp_path / "rows.csv").write_text("text,label\nthe cat,1\nthe dog,many\n")
    options = ["--train", "rows.csv", "--validation", "rows.csv", "--output", "RUN"]
    result = program("finetune", "stars", "--model", pretrained, *options, check=False)
    assert result.returncode == 1
    assert "rows.csv:3: expected a number of stars from 1. Received 'many'" in result.stderr


def test_a_package_that_fails_leaves_the_other_tasks(program, tmp_path):
    (tmp_path / "site" / "kbert_stars" / "__init__.py").write_text("import nothing_of_that_name\n")
    result = program("finetune", "--help")
    assert "classification" in result.stdout
    assert "the task stars of kbert_stars:STARS is left out: No module named 'nothing_of_that_name'" in result.stderr
