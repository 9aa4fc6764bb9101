import json

import keras
import pytest

from kbert.errors import DataError, UsageError
from kbert.training.search.repeats import cross_validate, finetune_seeds, summary


def test_mean_and_deviation():
    assert summary([{"f1": 0.5, "x": 1.0}, {"f1": 0.7}]) == {
        "mean": {"f1": 0.6},
        "deviation": {"f1": pytest.approx(0.2 / 2**0.5)},
    }
    assert summary([{"f1": 0.5}])["deviation"] == {"f1": 0.0}


@pytest.mark.slow
def test_seeds_are_resumed_with_more_and_finished_ones_are_not_redone(tmp_path, cats_and_dogs, quick):
    output = tmp_path / "runs"
    two = finetune_seeds("classification", seeds=2, seed=4, output=output, **cats_and_dogs, **quick)
    assert [(run["folder"], run["seed"]) for run in two["runs"]] == [("seed-4", 4), ("seed-5", 5)]
    assert json.loads((output / "results.json").read_text()) == two
    weights = [output / f"seed-{seed}" / "model.safetensors" for seed in (4, 5)]
    assert weights[0].read_bytes() != weights[1].read_bytes()
    weights[0].unlink()
    three = finetune_seeds("classification", seeds=3, seed=4, output=output, resume=True, **cats_and_dogs, **quick)
    assert three["runs"][:2] == two["runs"]
    assert len(three["runs"]) == 3
    assert not weights[0].exists()
    with pytest.raises(UsageError, match=r"was started with epochs=1\. Received: epochs=2"):
        finetune_seeds(
            "classification", seeds=3, seed=4, output=output, resume=True, **cats_and_dogs, **quick | {"epochs": 2}
        )
    with pytest.raises(UsageError, match=r"holds a run; add --resume to continue it"):
        finetune_seeds("classification", seeds=3, seed=4, output=output, **cats_and_dogs, **quick)


def test_a_command_that_is_wrong_claims_no_folder(tmp_path, cats_and_dogs, quick):
    with pytest.raises(DataError, match=r"there is no column 'txet'"):
        finetune_seeds(
            "classification", seeds=2, output=tmp_path / "runs", text_column="txet", **cats_and_dogs, **quick
        )
    assert not (tmp_path / "runs").exists()
    (tmp_path / "mine").mkdir()
    with pytest.raises(DataError, match=r"there is no column 'txet'"):
        finetune_seeds(
            "classification", seeds=2, output=tmp_path / "mine", text_column="txet", **cats_and_dogs, **quick
        )
    assert list((tmp_path / "mine").iterdir()) == []


@pytest.mark.slow
def test_fewer_than_are_done(tmp_path, cats_and_dogs, quick):
    output = tmp_path / "runs"
    finetune_seeds("classification", seeds=3, output=output, **cats_and_dogs, **quick)
    with pytest.raises(UsageError, match=r"runs has 3 finished runs; resume with as many or more\. Received: 2$"):
        finetune_seeds("classification", seeds=2, output=output, resume=True, **cats_and_dogs, **quick)


@pytest.mark.slow
def test_cross_validation(tmp_path, cats_and_dogs, quick):
    train = {"train": cats_and_dogs["train"]}
    results = cross_validate("classification", folds=3, output=tmp_path / "runs", **train, **quick)
    assert [run["folder"] for run in results["runs"]] == ["fold-0", "fold-1", "fold-2"]
    accuracies = [run["metrics"]["accuracy"] for run in results["runs"]]
    assert results["mean"]["accuracy"] == pytest.approx(sum(accuracies) / 3)
    bundle = json.loads((tmp_path / "runs" / "fold-1" / "kbert.json").read_text())
    assert bundle["metrics"]["examples"] == 8
    assert "16 rows" in (tmp_path / "runs" / "fold-1" / "README.md").read_text()


def test_options_that_cannot_be(tmp_path, cats_and_dogs, quick, monkeypatch):
    with pytest.raises(UsageError, match=r"^seeds must be at least 2\. Received: seeds=1$"):
        finetune_seeds("classification", seeds=1, output=tmp_path / "runs", **cats_and_dogs, **quick)
    with pytest.raises(UsageError, match=r"^folds must be at least 2\. Received: folds=0$"):
        cross_validate("classification", folds=0, output=tmp_path / "runs", **cats_and_dogs, **quick)
    with pytest.raises(UsageError, match=r"holds out training rows; leave validation and validation_split out$"):
        cross_validate("classification", folds=2, output=tmp_path / "runs", **cats_and_dogs, **quick)
    monkeypatch.setenv("TF_CONFIG", "{}")
    with pytest.raises(UsageError, match=r"^several runs in one command must run on one machine"):
        finetune_seeds("classification", seeds=2, output=tmp_path / "runs", **cats_and_dogs, **quick)
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_tables_in_memory_and_callbacks(tmp_path, cats_and_dogs, quick):
    lines = cats_and_dogs["train"].read_text().splitlines()[1:]
    rows = [dict(zip(("text", "label"), line.rsplit(",", 1), strict=True)) for line in lines]
    settings = {"seeds": 2, "train": rows, "output": tmp_path / "memory", **quick}
    callback = keras.callbacks.History()
    found = finetune_seeds("classification", validation=rows, callbacks=[callback], **settings)
    assert len(callback.history["val_accuracy"]) == 2  # an epoch of each run
    assert finetune_seeds("classification", seeds=2, output=tmp_path / "file", **cats_and_dogs, **quick) == found
    assert finetune_seeds("classification", validation=[*rows], resume=True, **settings) == found
    with pytest.raises(UsageError, match=r"^the content of validation is not the one that "):
        finetune_seeds("classification", validation=rows[1:], resume=True, **settings)
