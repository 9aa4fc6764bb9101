import json
import re

import pytest
from click.testing import CliRunner

from kbert.cli.main import main
from kbert.errors import UsageError
from kbert.report.run import Run, run_report


def write(folder, **parts):
    folder.mkdir(parents=True)
    for name, value in parts.items():
        if isinstance(value, list):
            (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in value))
        else:
            (folder / f"{name}.json").write_text(json.dumps(value))
    return folder


ROWS = [
    {"step": 10, "loss": 3.5, "mlm_accuracy": 0.25, "learning_rate": 1e-4, "seconds": 1.0, "tokens_per_second": 50.0},
    {"step": 20, "loss": 2.5, "mlm_accuracy": 0.5, "learning_rate": 5e-5, "seconds": 2.0, "tokens_per_second": 70.0},
]
SAMPLES = [
    {"step": 0, "samples": [["the", {"expected": "cat", "predicted": "<dog>", "probability": 0.5}]]},
    {"step": 20, "samples": [["the", {"expected": "cat", "predicted": "cat", "probability": 0.5}]]},
]
SETTINGS = {"command": "pretrain", "model": "tiny", "steps": 40, "batch_size": 8, "config": {"hidden_size": 128}}


@pytest.fixture
def going(tmp_path):
    return write(
        tmp_path / "going",
        run=SETTINGS,
        metrics=ROWS,
        samples=SAMPLES,
        environment={"keras": "3.1", "devices": ["CPU"]},
    )


@pytest.fixture
def finished(tmp_path):
    metrics = {
        "accuracy": 0.875,
        "per_class": {"good": {"f1": 0.75, "support": 3}, "bad": {"f1": 0.5, "support": 5}},
        "labels": ["good", "bad"],
        "confusion_matrix": [[2, 1], [0, 5]],
    }
    return write(
        tmp_path / "finished",
        run={**SETTINGS, "command": "finetune classification", "batch_size": 16},
        metrics=[*ROWS, {"step": 40, "loss": 1.0, "validation_accuracy": 0.875}],
        kbert={"kind": "task", "metrics": metrics},
        config={},
    )


def cells(html, first):
    """The cells of the row that begins with `first`, without tags."""
    row = next(row for row in re.findall(r"<tr>(.*?)</tr>", html) if f">{first}<" in row)
    return [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row)]


def test_a_run_that_is_going(going):
    html = run_report([going])
    assert cells(html, "State") == ["State", "step 20 of 40"]
    assert cells(html, "Time") == ["Time", "3 s"]
    assert cells(html, "Tokens a second, median") == ["Tokens a second, median", "60"]
    assert cells(html, "loss, last") == ["loss, last", "2.5"]
    assert cells(html, "config hidden size") == ["config hidden size", "128"]
    assert cells(html, "devices") == ["devices", "CPU"]
    assert html.count("<svg") == 4
    assert "&lt;dog&gt;" in html
    assert "<small>cat</small>" in html


def test_the_page_stands_alone(going):
    html = run_report([going])
    assert not re.findall(r"<script|<link|<img|@import|url\(|src=|href=|https?://", html)


def test_a_finished_run_has_its_scores(finished):
    html = run_report([finished])
    assert cells(html, "State") == ["State", "done, 40 steps"]
    assert cells(html, "accuracy") == ["accuracy", "0.875"]
    assert cells(html, "good") == ["good", "0.75", "3"]
    assert "background:rgba(47,111,222,0.467)" in html
    assert ">true \\ predicted<" in html
    assert "Worst examples" not in html


def test_a_run_that_was_stopped_early(tmp_path):
    settings = {**SETTINGS, "command": "finetune classification", "steps": 1000, "early_stopping": 2}
    outcome = {"kind": "task", "metrics": {"accuracy": 0.5}}
    folder = write(tmp_path / "early", run=settings, metrics=ROWS, kbert=outcome, config={})
    assert Run.load(folder).state == "done, stopped early at step 20 of 1,000"


def test_the_worst_examples_of_a_run(finished):
    worst = {"worst_examples": [{"line": 7, "text": "so <b>bad", "expected": "good"}]}
    (finished / "worst_examples.json").write_text(json.dumps(worst))
    assert cells(run_report([finished]), "7") == ["7", "so &lt;b&gt;bad", "good"]
    # Runs of before have them among the metrics.
    (finished / "worst_examples.json").unlink()
    (finished / "kbert.json").write_text(json.dumps({"kind": "task", "metrics": worst}))
    assert cells(run_report([finished]), "7") == ["7", "so &lt;b&gt;bad", "good"]


def test_runs_side_by_side(going, finished):
    html = run_report([going, finished])
    assert cells(html, "batch size") == ["batch size", "8", "16"]
    assert "<mark>8</mark>" in html
    assert "<mark>40</mark>" not in html
    assert cells(html, "loss, last") == ["loss, last", "2.5", "1"]
    assert ">going</text>" in html
    assert ">finished</text>" in html


def test_a_run_that_has_just_begun(tmp_path):
    html = run_report([write(tmp_path / "new", run=SETTINGS)])
    assert cells(html, "State") == ["State", "step 0 of 40"]
    assert "There is no row yet." in html


def test_a_row_that_is_being_written(going):
    with open(going / "metrics.jsonl", "a") as rows:
        rows.write('{"step": 30, "lo')
    assert cells(run_report([going]), "State") == ["State", "step 20 of 40"]


def test_losses_that_are_no_numbers(tmp_path):
    rows = [*ROWS, {"step": 30, "loss": float("nan")}]
    html = run_report([write(tmp_path / "bad", run=SETTINGS, metrics=rows)])
    assert cells(html, "loss, last") == ["loss, last", "nan"]
    assert "nan," not in html


def test_names_are_told_apart(tmp_path):
    folders = [write(tmp_path / side / "run", run=SETTINGS, metrics=ROWS) for side in ("a", "b")]
    html = run_report(folders)
    assert ">run (1)<" in html
    assert ">run (2)<" in html


def test_other_folders_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"has no run\.json"):
        run_report([tmp_path])


def test_the_command(going, tmp_path):
    done = CliRunner().invoke(main, ["report", str(going)])
    assert (done.exit_code, done.stderr) == (0, f"report: {going}/report.html\n")
    done = CliRunner().invoke(main, ["report", str(going), str(going), "--output", str(tmp_path / "page.html")])
    assert done.exit_code == 0
    assert (tmp_path / "page.html").read_text().startswith("<!DOCTYPE html>")
