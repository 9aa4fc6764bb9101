import json

import pytest

from kbert.errors import BundleError, UsageError
from kbert.training.run_folder.runs import open_run

SETTINGS = {"command": "pretrain", "seed": 1, "config": {"hidden_size": 32}, "peak": 1e-4}


def test_a_new_folder(tmp_path):
    open_run(tmp_path / "a" / "run", SETTINGS, resume=False)
    assert json.loads((tmp_path / "a" / "run" / "run.json").read_text()) == SETTINGS


@pytest.mark.parametrize("resume", [False, True])
def test_an_empty_folder(tmp_path, resume):
    open_run(tmp_path, SETTINGS, resume=resume)
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_the_same_run_is_continued_on_demand_only(tmp_path):
    open_run(tmp_path, SETTINGS, resume=False)
    open_run(tmp_path, dict(reversed(SETTINGS.items())), resume=True)
    with pytest.raises(UsageError, match=r"holds a run; add --resume to continue it, or choose another --output$"):
        open_run(tmp_path, SETTINGS, resume=False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 2}, r"was started with seed=1\. Received: seed=2; resume with the same, "),
        ({"peak": 2e-4}, r"was started with peak=0\.0001\. Received: peak=0\.0002; "),
        ({"more": 1}, r"was started with more=None\. Received: more=1; "),
    ],
)
def test_another_run_is_not_continued(tmp_path, changes, message):
    open_run(tmp_path, SETTINGS, resume=False)
    before = (tmp_path / "run.json").read_bytes()
    with pytest.raises(UsageError, match=message):
        open_run(tmp_path, SETTINGS | changes, resume=True)
    assert (tmp_path / "run.json").read_bytes() == before


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_of_something_else(tmp_path, resume):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match=r"^--output must be a new or empty folder, or a run to --resume\. "):
        open_run(tmp_path, SETTINGS, resume=resume)
    with pytest.raises(UsageError, match=r"^--output must be a new or empty folder"):
        open_run(tmp_path / "thesis.txt", SETTINGS, resume=resume)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_damaged_run_file(tmp_path):
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(BundleError, match=r"run\.json is not JSON"):
        open_run(tmp_path, SETTINGS, resume=True)


def test_what_changes_nothing_that_is_learnt_may_differ(tmp_path):
    open_run(tmp_path, SETTINGS | {"log_every": 10}, resume=False)
    open_run(tmp_path, SETTINGS | {"log_every": 5}, resume=True, free=("log_every",))
    with pytest.raises(UsageError, match=r"was started with log_every=10\. Received: log_every=5; "):
        open_run(tmp_path, SETTINGS | {"log_every": 5}, resume=True)
