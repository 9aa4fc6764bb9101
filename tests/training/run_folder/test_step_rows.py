import pytest

from kbert.training.run_folder.step_rows import StepRows, read_rows


def test_rows_after_a_step_are_dropped(tmp_path):
    rows = StepRows(tmp_path / "rows.jsonl")
    for step in (0, 10, 20):
        rows.append({"step": step, "text": "\u2028é"})
    rows.drop_after(10)
    rows.append({"step": 20, "text": "new"})
    assert [(row["step"], row["text"]) for row in read_rows(rows.path)] == [
        (0, "\u2028é"),
        (10, "\u2028é"),
        (20, "new"),
    ]


@pytest.mark.parametrize("half", ['{"step": 3', '{"st', "{", '{"step": 30', "[3]", '{"step": "x"}'])
def test_what_a_kill_cut_short_is_passed_over(tmp_path, half):
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"step": 10}}\n{half}')
    assert read_rows(path) == [{"step": 10}]
    StepRows(path).drop_after(10)
    assert path.read_text() == '{"step": 10}\n'


def test_no_file_no_rows(tmp_path):
    assert read_rows(tmp_path / "rows.jsonl") == []
    StepRows(tmp_path / "rows.jsonl").drop_after(3)
    assert not list(tmp_path.iterdir())
