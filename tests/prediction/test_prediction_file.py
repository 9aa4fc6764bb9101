"""Predictions in files, and how an interrupted command is continued."""

import json
import shutil

import pytest

import kbert
from kbert.errors import DataError, UsageError
from kbert.prediction import predictor
from kbert.prediction.prediction_file import predict_to_file

WORDS = "the a cat dog sat on mat ran fast slow".split()


@pytest.fixture
def texts(tmp_path, monkeypatch):
    """A file of 11 texts, which are read in parts of 4."""
    monkeypatch.setattr(predictor, "ROWS_AT_ONCE", 4)
    path = tmp_path / "texts.txt"
    path.write_text("".join(f"{' '.join(WORDS[: row % 7 + 1])}\n" for row in range(11)))
    return path


class Stop(Exception):
    pass


def _interrupted_after(rows):
    def progress(done):
        if done >= rows:
            raise Stop

    return progress


@pytest.mark.long
@pytest.mark.parametrize("output_format", ["text", "json"])
def test_predictions_are_those_of_the_predictor(tmp_path, classifier, texts, output_format):
    seen = []
    output = tmp_path / "answers"
    count = predict_to_file(classifier, texts, output=output, output_format=output_format, progress=seen.append)
    assert (count, seen) == (11, [4, 8, 11])
    loaded = kbert.load(classifier)
    expected = list(loaded.predict_file(texts))
    lines = output.read_text().splitlines()
    if output_format == "json":
        assert [json.loads(line) for line in lines] == expected
    else:
        assert lines == [loaded.task.text_line(each) for each in expected]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answers", "texts.txt"]


@pytest.mark.long
@pytest.mark.parametrize("torn", ["", '{"text": "the c'])
def test_an_interrupted_command_is_continued_to_the_same_bytes(tmp_path, classifier, texts, torn):
    whole, cut = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    predict_to_file(classifier, texts, output=whole, output_format="json")
    with pytest.raises(Stop):
        predict_to_file(classifier, texts, output=cut, output_format="json", progress=_interrupted_after(8))
    assert not cut.exists()
    with open(f"{cut}.partial", "a") as handle:
        handle.write(torn)  # as if the process had been killed while it wrote
    with pytest.raises(UsageError, match=r"was begun by a command that was interrupted.* without resume; give it"):
        predict_to_file(classifier, texts, output=cut, output_format="json")
    seen = []
    predict_to_file(classifier, texts, output=cut, output_format="json", resume=True, progress=seen.append)
    assert seen == [11]
    assert cut.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.glob("cut*")) == ["cut.jsonl"]


def test_kept_columns_are_read_along_with_the_rows(tmp_path, classifier, texts):
    table, output = tmp_path / "table.csv", tmp_path / "answers.jsonl"
    rows = [f"id{row},{text}" for row, text in enumerate(texts.read_text().splitlines())]
    table.write_text("\n".join(["id,text", *rows]) + "\n")
    options = {"output": output, "output_format": "json", "keep_columns": ["id"]}
    with pytest.raises(Stop):
        predict_to_file(classifier, table, progress=_interrupted_after(4), **options)
    assert predict_to_file(classifier, table, resume=True, **options) == 11
    found = [json.loads(line) for line in output.read_text().splitlines()]
    assert [row["id"] for row in found] == [f"id{row}" for row in range(11)]


def test_a_different_command_does_not_continue(tmp_path, classifier, texts):
    output = tmp_path / "answers"
    with pytest.raises(Stop):
        predict_to_file(classifier, texts, output=output, progress=_interrupted_after(4))
    with pytest.raises(UsageError, match=r"was begun with batch_size=64; continue with the same command\. Rec.*=8$"):
        predict_to_file(classifier, texts, output=output, batch_size=8, resume=True)
    with open(texts, "a") as handle:
        handle.write("a cat\n")
    with pytest.raises(UsageError, match=r"was begun with another content of the input; continue with the same\. Rec"):
        predict_to_file(classifier, texts, output=output, resume=True)


def test_a_model_and_an_input_that_moved_continue(tmp_path, classifier, texts):
    output = tmp_path / "answers"
    with pytest.raises(Stop):
        predict_to_file(classifier, texts, output=output, progress=_interrupted_after(4))
    moved = texts.rename(tmp_path / "moved.txt")
    model = shutil.copytree(classifier, tmp_path / "model")
    assert predict_to_file(model, moved, output=output, resume=True) == 11


@pytest.mark.parametrize("content", ["{", "{}", '{"command": {}, "rows": 4, "bytes": 99999}'])
@pytest.mark.long
def test_damaged_progress(tmp_path, classifier, texts, content):
    output = tmp_path / "answers"
    with pytest.raises(Stop):
        predict_to_file(classifier, texts, output=output, progress=_interrupted_after(4))
    (tmp_path / "answers.progress.json").write_text(content)
    with pytest.raises(DataError, match=r"progress"):
        predict_to_file(classifier, texts, output=output, resume=True)


def test_nothing_is_overwritten(tmp_path, classifier, texts):
    (tmp_path / "answers").write_text("mine")
    with pytest.raises(UsageError, match=r"^output must name a new file\. Received: .*answers, which exists; remove"):
        predict_to_file(classifier, texts, output=tmp_path / "answers")
    assert (tmp_path / "answers").read_text() == "mine"


def test_resume_without_an_interrupted_command_begins(tmp_path, classifier, texts):
    assert predict_to_file(classifier, texts, output=tmp_path / "answers", resume=True) == 11


def test_a_command_that_fails_at_once_leaves_nothing(tmp_path, classifier):
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(DataError):
        predict_to_file(classifier, tmp_path / "empty.txt", output=tmp_path / "answers")
    assert [path.name for path in tmp_path.iterdir()] == ["empty.txt"]
