import json

import pytest

from kbert.errors import BundleError, UsageError
from kbert.options import OptionInfo
from kbert.training.run_folder.runs import RunRecord, earlier_record, flat_record, open_run

RECORD = RunRecord(
    "pretrain",
    options={"seed": 1, "model": "tiny", "learning_rate": None, "phases": [(16, 3)]},
    defaults={"learning_rate": 1e-4},
    contents={"model": "a1", "data": "b2"},
    derived={"config": {"hidden_size": 32, "num_hidden_layers": 2}},
)
INFOS = {
    "seed": OptionInfo("seed"),
    "model": OptionInfo("model", free=True),
    "phases": OptionInfo("phases", flag="--phase"),
    "log_every": OptionInfo("log_every", free=True),
}


def opened(folder, record=RECORD, **settings):
    open_run(folder, record, **{"infos": INFOS, "resume": False, **settings})


def changed(**parts):
    """The record with other values in some of its parts."""
    values = {name: {**getattr(RECORD, name), **new} for name, new in parts.items()}
    return RunRecord(**{**vars(RECORD), **values})


def test_a_new_folder(tmp_path):
    opened(tmp_path / "a" / "run")
    assert json.loads((tmp_path / "a" / "run" / "run.json").read_text()) == {
        "format": 2,
        "command": "pretrain",
        "options": {"seed": 1, "model": "tiny", "learning_rate": None, "phases": [[16, 3]]},
        "defaults": {"learning_rate": 1e-4},
        "contents": {"model": "a1", "data": "b2"},
        "derived": {"config": {"hidden_size": 32, "num_hidden_layers": 2}},
    }


@pytest.mark.parametrize("resume", [False, True])
def test_an_empty_folder(tmp_path, resume):
    opened(tmp_path, resume=resume)
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_the_same_run_is_continued_on_demand_only(tmp_path):
    opened(tmp_path)
    opened(tmp_path, changed(options=dict(reversed(RECORD.options.items()))), resume=True)
    with pytest.raises(UsageError, match=r"holds a run; add --resume to continue it, or choose another --output$"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("parts", "message", "typed"),
    [
        (
            {"options": {"seed": 2}},
            r"was started with seed=1\. Received: seed=2; resume with the same, or choose another --output$",
            "was started with --seed 1. Received: --seed 2; ",
        ),
        (
            {"options": {"learning_rate": 2e-4}},
            r"was started with learning_rate=0\.0001\. Received: learning_rate=0\.0002; ",
            "was started with --learning-rate 0.0001. Received: --learning-rate 0.0002; ",
        ),
        (
            {"options": {"more": True}},
            r"was started with more=None\. Received: more=True; ",
            "was started with no --more. Received: --more; ",
        ),
        (
            {"options": {"phases": [(16, 3), (32, 5)]}},
            r"Received: phases=\[\[16, 3\], \[32, 5\]\]; resume with the same; to train longer, start another run from "
            r"the finished one with model='.*' and another output$",
            "was started with --phase 16:3. Received: --phase 16:3 --phase 32:5; ",
        ),
        (
            {"options": {"model": "other"}, "contents": {"model": "c3"}},
            r"was started with model='tiny'\. Received: model='other', which differs; ",
            "was started with --model tiny. Received: --model other, which differs; ",
        ),
        (
            {"contents": {"data": "c3"}},
            r"^the content of train or validation is not the one that .* was started with; resume with the same, ",
            "the content of --train or --validation is not the one that ",
        ),
    ],
)
def test_another_run_is_not_continued(tmp_path, parts, message, typed):
    opened(tmp_path)
    before = (tmp_path / "run.json").read_bytes()
    with pytest.raises(UsageError, match=message) as error:
        opened(tmp_path, changed(**parts), resume=True)
    assert typed in error.value.command_line_message
    assert (tmp_path / "run.json").read_bytes() == before


def test_only_the_part_that_differs_is_shown(tmp_path):
    opened(tmp_path)
    with pytest.raises(UsageError, match=r"with another config: \{'hidden_size': 32\}\. Received: \{'hidden_size': 64"):
        opened(tmp_path, changed(derived={"config": {"hidden_size": 64, "num_hidden_layers": 2}}), resume=True)


def test_the_command_of_another_run(tmp_path):
    opened(tmp_path)
    with pytest.raises(UsageError, match=r"was started by `kbert pretrain`\. Received: `kbert finetune ranking`; "):
        opened(tmp_path, RunRecord("finetune ranking", {}), resume=True)


def test_a_default_is_the_same_as_its_value(tmp_path):
    opened(tmp_path)
    opened(tmp_path, changed(options={"learning_rate": 1e-4}), resume=True)


def test_the_same_content_in_another_place_is_the_same(tmp_path):
    opened(tmp_path)
    opened(tmp_path, changed(options={"model": "tiny/"}), resume=True)


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_of_something_else(tmp_path, resume):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match=r"^--output must be a new or empty folder, or a run to --resume\. "):
        opened(tmp_path, resume=resume)
    with pytest.raises(UsageError, match=r"^--output must be a new or empty folder"):
        opened(tmp_path / "thesis.txt", resume=resume)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_damaged_run_file(tmp_path):
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(BundleError, match=r"run\.json is not JSON"):
        opened(tmp_path, resume=True)


def test_a_run_of_an_earlier_version(tmp_path):
    (tmp_path / "run.json").write_text('{"command": "pretrain", "steps": 4}')
    with pytest.raises(UsageError, match=r"was started with another version of kbert, .* choose another --output$"):
        opened(tmp_path, resume=True)


def test_what_changes_nothing_that_is_learnt_may_differ(tmp_path):
    opened(tmp_path, changed(options={"log_every": 10}))
    opened(tmp_path, changed(options={"log_every": 5}), resume=True)
    with pytest.raises(UsageError, match=r"was started with log_every=10\. Received: log_every=5; "):
        opened(tmp_path, changed(options={"log_every": 5}), resume=True, infos={})


def test_a_run_with_more_steps(tmp_path):
    short, long = (
        changed(options={"steps": steps}, derived={"steps": steps, "schedule": {"steps": steps}}) for steps in (4, 9)
    )
    opened(tmp_path, short)
    with pytest.raises(UsageError, match=r"was started with steps=4\. Received: steps=9; "):
        opened(tmp_path, long, resume=True)
    with pytest.raises(UsageError, match=r"was started with seed=1\. Received: seed=2; "):
        opened(tmp_path, changed(options={"steps": 9, "seed": 2}), resume=True, longer=True)
    opened(tmp_path, long, resume=True, longer=True)
    assert earlier_record(tmp_path, resume=True) == long.__class__(**{**vars(long), "options": as_lists(long.options)})
    with pytest.raises(UsageError, match=r"was started with steps=9\. Received: steps=4; "):
        opened(tmp_path, short, resume=True, longer=True)


def as_lists(options):
    return {**options, "phases": [list(phase) for phase in options["phases"]]}


def test_the_record_on_one_level():
    assert flat_record(RECORD.as_json()) == {
        "command": "pretrain",
        "seed": 1,
        "model": "tiny",
        "learning_rate": 1e-4,
        "phases": [[16, 3]],
        "data": "b2",
        "config": {"hidden_size": 32, "num_hidden_layers": 2},
    }
