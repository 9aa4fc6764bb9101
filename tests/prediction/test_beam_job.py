"""Predictions as a Beam pipeline: its steps in this process and, if apache-beam is installed, on its runner.

`tox -e beam` installs it.
"""

import importlib.util
import pickle
import subprocess
import sys

import pytest

from kbert.errors import KbertError, UsageError
from kbert.prediction import beam_job, prediction_file, predictor
from kbert.prediction.prediction_file import predict_to_file

NEEDS_BEAM = pytest.mark.skipif(importlib.util.find_spec("apache_beam") is None, reason="needs apache-beam")
WORDS = "the a cat dog sat on mat ran fast slow".split()


@pytest.fixture
def texts(tmp_path, monkeypatch):
    """A file of 11 texts, which are predicted in ranges of 4."""
    monkeypatch.setattr(predictor, "ROWS_AT_ONCE", 2)
    monkeypatch.setattr(beam_job, "_PARTS_AT_ONCE", 2)
    path = tmp_path / "texts.txt"
    path.write_text("".join(f"{' '.join(WORDS[: row % 7 + 1])}\n" for row in range(11)))
    return path


@pytest.fixture
def in_this_process(monkeypatch):
    """What the pipeline does, step by step; each worker has the job as it was sent."""

    def run(job, ranges):
        sent = pickle.dumps(job)
        counts = [pickle.loads(sent).write(number) for number in reversed(ranges)]
        beam_job._finish(job.folder, sum(counts))

    monkeypatch.setattr(beam_job, "_run", run)
    monkeypatch.setattr(prediction_file, "check_runner", lambda runner, options: None)


@pytest.mark.long
def test_the_file_is_that_of_one_machine(tmp_path, classifier, texts, in_this_process):
    here, there = tmp_path / "here.jsonl", tmp_path / "there.jsonl"
    predict_to_file(classifier, texts, output=here, output_format="json")
    assert predict_to_file(classifier, texts, output=there, output_format="json", runner="DirectRunner") == 11
    assert there.read_bytes() == here.read_bytes()
    assert len(there.read_text().splitlines()) == 11
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here.jsonl", "texts.txt", "there.jsonl"]


@pytest.mark.long
def test_tables_with_kept_columns(tmp_path, classifier, texts, in_this_process):
    table = tmp_path / "table.csv"
    rows = [f"id{row},{text}" for row, text in enumerate(texts.read_text().splitlines())]
    table.write_text("\n".join(["id,text", *rows]) + "\n")
    options = {"output_format": "json", "keep_columns": ["id"]}
    predict_to_file(classifier, table, output=tmp_path / "here", **options)
    predict_to_file(classifier, table, output=tmp_path / "there", runner="DirectRunner", **options)
    assert (tmp_path / "there").read_bytes() == (tmp_path / "here").read_bytes()


@pytest.mark.long
def test_an_input_that_grows_is_refused(tmp_path, classifier, texts, in_this_process, monkeypatch):
    write = beam_job.PredictionJob.write

    def growing(self, number):
        with open(texts, "a") as handle:
            handle.write("a cat\n")
        return write(self, number)

    monkeypatch.setattr(beam_job.PredictionJob, "write", growing)
    with pytest.raises(KbertError, match=r"texts\.txt: expected 11 rows, as when the job began\. Received: 12$"):
        predict_to_file(classifier, texts, output=tmp_path / "answers", runner="DirectRunner")
    assert [path.name for path in tmp_path.iterdir()] == ["texts.txt"]


def test_folders_of_others_are_not_touched(tmp_path, classifier, texts, in_this_process):
    (tmp_path / "answers.parts").mkdir()
    with pytest.raises(UsageError, match=r"expected no folder .*answers\.parts, since the job writes its parts there"):
        predict_to_file(classifier, texts, output=tmp_path / "answers", runner="DirectRunner")
    assert (tmp_path / "answers.parts").is_dir()


def test_resume_is_refused(tmp_path, classifier, texts):
    with pytest.raises(UsageError, match=r"^resume works only without runner, since the runners of Beam repeat"):
        predict_to_file(classifier, texts, output=tmp_path / "answers", runner="DirectRunner", resume=True)


@pytest.mark.skipif(importlib.util.find_spec("apache_beam") is not None, reason="needs that there is no apache-beam")
def test_without_beam(tmp_path, classifier, texts):
    with pytest.raises(UsageError, match=r"^--runner needs apache-beam: pip install 'kbert\[beam\]'$"):
        predict_to_file(classifier, texts, output=tmp_path / "answers", runner="DirectRunner")
    assert [path.name for path in tmp_path.iterdir()] == ["texts.txt"]


@NEEDS_BEAM
@pytest.mark.slow
@pytest.mark.parametrize("mode", ["in_memory", "multi_processing"])
def test_the_command_on_the_runner_of_beam(tmp_path, classifier, mode):
    """The file is longer than a range, so that several processes predict it."""
    texts = tmp_path / "texts.txt"
    rows = 2 * beam_job._PARTS_AT_ONCE * predictor.ROWS_AT_ONCE + 5
    texts.write_text("".join(f"{' '.join(WORDS[: row % 7 + 1])}\n" for row in range(rows)))
    command = [sys.executable, "-m", "kbert", "predict", str(classifier), "--input", str(texts)]
    beam = ["--runner", "DirectRunner", "--", f"--direct_running_mode={mode}", "--direct_num_workers=2"]
    for name, options in (("here", []), ("there", beam)):
        done = subprocess.run([*command, "--output", str(tmp_path / name), *options], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert f"{rows:,} predictions" in done.stderr
    assert (tmp_path / "there").read_bytes() == (tmp_path / "here").read_bytes()
