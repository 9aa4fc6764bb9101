import json

import pytest

from kbert.errors import DataError, UsageError
from kbert.training.options import FinetuneOptions
from kbert.training.search.tune import tune

pytest.importorskip("optuna")


@pytest.mark.slow
@pytest.mark.parametrize("search", ["random", "bayesian"])
def test_a_search_is_resumed_with_more_trials(tmp_path, cats_and_dogs, quick, search):
    fixed = {name: value for name, value in quick.items() if name != "learning_rate"}
    options = {"search": search, "over": {"learning_rate": "1e-4:1e-2"}, **cats_and_dogs, **fixed}
    whole = tune("classification", trials=4, output=tmp_path / "whole", **options)
    first = tune("classification", trials=2, output=tmp_path / "parts", **options)
    assert first["trials"] == whole["trials"][:2]
    (tmp_path / "parts" / "trial-0" / "model.safetensors").unlink()
    assert tune("classification", trials=4, output=tmp_path / "parts", resume=True, **options) == whole
    assert not (tmp_path / "parts" / "trial-0" / "model.safetensors").exists()
    assert json.loads((tmp_path / "parts" / "results.json").read_text()) == whole
    assert whole["metric"] == "accuracy"
    assert len({trial["values"]["learning_rate"] for trial in whole["trials"]}) == 4
    best = max(whole["trials"], key=lambda trial: trial["score"])
    assert whole["best"] == best["folder"]


@pytest.mark.long
def test_a_grid_ends_with_its_last_point(tmp_path, cats_and_dogs, quick):
    over = {"weight_decay": "0,0.1", "epochs": "1"}
    fixed = {name: value for name, value in quick.items() if name != "epochs"}
    results = tune(
        "classification", trials=5, search="grid", over=over, output=tmp_path / "grid", **cats_and_dogs, **fixed
    )
    assert [trial["values"] for trial in results["trials"]] == [
        {"weight_decay": 0.0, "epochs": 1.0},
        {"weight_decay": 0.1, "epochs": 1.0},
    ]


@pytest.mark.slow
def test_a_trial_that_cannot_be_has_no_score(tmp_path, cats_and_dogs, quick, told):
    fixed = {name: value for name, value in quick.items() if name != "batch_size"}
    options = {"search": "grid", "over": {"batch_size": "8", "accumulation": "1,3,5,7,2"}, **cats_and_dogs, **fixed}
    results = tune("classification", trials=5, output=tmp_path / "runs", **options)
    assert [trial["score"] is None for trial in results["trials"]] == [False, True, True, True, False]
    assert any(message.startswith("trial-1 has no score: ") for message in told())
    assert "must be a multiple of the replicas times the micro-batches" in results["trials"][1]["error"]
    assert results["best"] in ("trial-0", "trial-4")
    assert tune("classification", trials=5, output=tmp_path / "runs", resume=True, **options) == results


def test_a_command_that_is_wrong_claims_no_folder(tmp_path, cats_and_dogs, quick):
    with pytest.raises(DataError, match=r"there is no column 'txet'"):
        tune("classification", trials=2, output=tmp_path / "runs", text_column="txet", **cats_and_dogs, **quick)
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_the_options_of_fine_tuning_in_one_object(tmp_path, cats_and_dogs, quick):
    """Those that are not the default are fixed; the others may be searched over."""
    options = FinetuneOptions(output=tmp_path / "runs", **cats_and_dogs, **quick)
    over = {"weight_decay": "0,0.1"}
    results = tune("classification", options=options, trials=2, search="grid", over=over)
    assert [trial["values"] for trial in results["trials"]] == [{"weight_decay": 0.0}, {"weight_decay": 0.1}]
    with pytest.raises(UsageError, match=r"^batch_size is searched over; do not fix it\. Received: batch_size=8$"):
        tune("classification", options=options, trials=2, over={"batch_size": "8,16"})


def test_a_model_is_needed():
    with pytest.raises(UsageError, match=r"^tune needs model$"):
        tune("classification", train="a.csv", validation="b.csv", output="runs", trials=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trials": 0}, r"^trials must be at least 1\. Received: trials=0$"),
        ({"search": "hopeful"}, r"^search must be one of random, bayesian, grid\. Received: search='hopeful'$"),
        ({"over": {"epochs": "1,2"}}, r"^epochs is searched over; do not fix it\. Received: epochs=1$"),
    ],
)
def test_options_that_cannot_be(tmp_path, cats_and_dogs, quick, options, message):
    with pytest.raises(UsageError, match=message):
        tune("classification", output=tmp_path / "runs", **{"trials": 2, **cats_and_dogs, **quick, **options})
    assert not (tmp_path / "runs").exists()
