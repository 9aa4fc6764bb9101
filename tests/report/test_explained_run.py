import json
import re

import pytest
from click.testing import CliRunner

from kbert.cli.main import main
from kbert.report.run import write_report
from kbert.tasks.regression import RegressionTask
from kbert.tasks.tagging import TaggingTask
from kbert.training.finetune import finetune

ROWS = [("the cat sat", "good"), ("a dog ran fast", "bad"), ("the mat .", "good"), ("slow dogs !", "bad")]


@pytest.fixture(scope="module")
def run(tmp_path_factory, pretrained):
    """A run of a few steps, with its validation file."""
    folder = tmp_path_factory.mktemp("run")
    path = folder / "dev.csv"
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in ROWS))
    finetune(
        "classification",
        model=pretrained,
        train=path,
        validation=path,
        output=folder / "films",
        epochs=1,
        batch_size=2,
        sequence_length=16,
    )
    return folder / "films"


def headings(html):
    return re.findall(r"<h2>(.*?)</h2>", html)


@pytest.mark.long
def test_a_classifier(run, tmp_path):
    path = write_report([run], explain=run.parent / "dev.csv", rows=3, output=tmp_path / "page.html")
    html = path.read_text()
    found = headings(html)
    places = [found.index(title) for title in ("Words that push the labels", "Attention heads", "Curves")]
    assert places == sorted(places)
    assert "over 3 texts" in html
    assert "Attention is no explanation" in html
    # Two layers and two heads, and three measures.
    assert html.count("layer \\ head") == 3
    assert not re.findall(r"<script|<link|<img|@import|url\(|src=|href=|https?://", html)


@pytest.mark.long
def test_the_worst_examples_have_coloured_words(run, tmp_path, make_task_model):
    worst = [{"line": 3, "text": "a dog ran", "expected": "bad", "predicted": "good", "probability": 0.75}]
    (run / "worst_examples.json").write_text(json.dumps({"worst_examples": worst}))
    html = write_report([run], explain=run.parent / "dev.csv", rows=1, output=tmp_path / "page.html").read_text()
    assert "<h3>line 3; expected bad; predicted good; probability 0.75</h3>" in html
    assert re.search(r'<mark class="(for|against) level-10" title="[+-]\d', html)
    assert ">dog</mark>" in html


def test_without_the_option_nothing_is_explained(run, tmp_path):
    html = write_report([run], output=tmp_path / "page.html").read_text()
    assert "Attention heads" not in html


def test_a_run_must_be_finished(run, tmp_path):
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    (unfinished / "run.json").write_bytes((run / "run.json").read_bytes())
    done = CliRunner().invoke(main, ["report", str(unfinished), "--explain", str(run.parent / "dev.csv")])
    assert (done.exit_code, done.stderr) == (
        2,
        "Error: --explain needs a finished run of `kbert finetune`. Received: unfinished, step 0 of 2\n",
    )
    assert not (unfinished / "report.html").exists()


@pytest.mark.long
@pytest.mark.parametrize(
    ("task", "rows", "has_labels"),
    [
        (RegressionTask(), "text,label\nthe cat,1.5\na dog,0.5\n", False),
        (TaggingTask(["O", "B-a", "I-a"]), '{"text": "the cat", "spans": [[4, 7, "a"]]}\n', True),
    ],
)
def test_other_tasks(tmp_path, make_task_model, task, rows, has_labels):
    folder = make_task_model(tmp_path / "run", task)
    path = tmp_path / ("dev.csv" if "," in rows.splitlines()[0][:10] else "dev.jsonl")
    path.write_text(rows)
    record = {"format": 2, "command": "finetune", "options": {}, "defaults": {}, "contents": {}, "derived": {}}
    (folder / "run.json").write_text(json.dumps(record))
    html = write_report([folder], explain=path, output=tmp_path / "page.html").read_text()
    assert ("Words that push the labels" in html) == has_labels
    assert "Attention heads" in html
