import json
import shutil

import pytest

from kbert.errors import UsageError
from kbert.training.finetune import finetune
from kbert.training.loop.early_stopping import EarlyStopping

NAN = float("nan")


@pytest.mark.parametrize(
    ("measured", "larger_is_better", "expected"),
    [
        ([], True, False),
        ([0.5, 0.4], True, False),
        ([0.5, 0.4, 0.5], True, True),  # an equal is not better
        ([0.5, 0.4, 0.6], True, False),
        ([0.5, 0.4, 0.6], False, False),
        ([0.5, 0.6, 0.7], False, True),
        ([0.0, 0.0, 0.0, 0.0], True, False),  # the model has not begun to answer
        ([0.0, 0.0, 0.0, 0.1, 0.0], True, False),
        ([0.0, 0.1, 0.0, 0.0], True, True),
    ],
)
def test_two_evaluations_without_a_better_one(measured, larger_is_better, expected):
    assert EarlyStopping(2, "f1", larger_is_better)([(value, NAN) for value in measured]) is expected


@pytest.mark.parametrize(
    ("losses", "expected"),
    [([3.0, 2.0, 1.0], False), ([1.0, 2.0, 3.0], True), ([2.0, 2.0, 1.0], False), ([1.0, NAN, NAN], True)],
)
def test_of_equal_metrics_the_loss_decides(losses, expected):
    assert EarlyStopping(2, "f1")([(0.5, loss) for loss in losses]) is expected


def test_a_patience_that_cannot_be():
    with pytest.raises(UsageError, match=r"^early_stopping must be at least 1\. Received: early_stopping=0$"):
        EarlyStopping(0, "f1")


def steps(folder):
    return [json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_a_run_stops_and_a_resumed_one_stops_where_it_does(tmp_path, cats_and_dogs, quick):
    """The rate is too small to change an answer: the first evaluation, after step 2, stays the best."""
    options = {"learning_rate": 1e-12, "epochs": 9, "evaluate_every": 2, "checkpoint_every": 3, "early_stopping": 2}
    expected = finetune("classification", output=tmp_path / "whole", **cats_and_dogs, **quick | options)
    assert steps(tmp_path / "whole") == [2, 4, 6]
    for last in (3, 6):
        cut = tmp_path / f"cut-{last}"
        shutil.copytree(tmp_path / "whole", cut)
        for path in (cut / "checkpoints").glob("step-*"):
            if int(path.stem.removeprefix("step-")) > last:
                path.unlink()
        (cut / "model.safetensors").unlink()
        metrics = finetune("classification", output=cut, resume=True, **cats_and_dogs, **quick | options)
        assert metrics == expected
        assert steps(cut) == [2, 4, 6]
        assert (cut / "model.safetensors").read_bytes() == (tmp_path / "whole" / "model.safetensors").read_bytes()
