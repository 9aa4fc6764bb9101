import json

import pytest

from kbert.errors import TrainingError
from kbert.training.finetune import finetune
from kbert.training.learning_rate_finder import read_curve, rising_rates, smoothed


def test_rates_rise_by_the_same_factor():
    assert rising_rates(1e-2, 5) == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1.0])
    assert len(rising_rates(1e-4)) == 100


def test_a_mean_is_corrected_for_its_start():
    assert smoothed([2.0, 2.0, 2.0]) == pytest.approx([2.0, 2.0, 2.0])
    assert smoothed([1.0, 0.0]) == pytest.approx([1.0, 0.09 / 0.19])


def test_the_curve_of_a_loss_that_falls_and_runs_away():
    losses = [1.0] * 30 + [0.2] * 20 + [3.0] * 10
    rates = rising_rates(1e-4)[:60]
    curve = read_curve(rates, losses)
    assert curve.steepest == rates[30]
    assert curve.lowest == rates[49]
    assert curve.suggested == min(rates[30], rates[49] / 10)


def test_a_loss_that_never_falls():
    with pytest.raises(
        TrainingError, match=r"^the loss falls at none of the learning rates from 1e-06 on\. .* give more rows"
    ):
        read_curve(rising_rates(1e-4), [1.0 + number / 10 for number in range(100)])


@pytest.mark.long
def test_the_test_leaves_a_curve_and_then_the_folder_takes_a_run(tmp_path, cats_and_dogs, quick):
    outputs = [tmp_path / "run", tmp_path / "again"]
    for output in outputs:
        curve = finetune("classification", output=output, find_learning_rate=True, **cats_and_dogs, **quick)
        assert [path.name for path in output.iterdir()] == ["lr_finder.json"]
    assert json.loads((outputs[0] / "lr_finder.json").read_text()) == curve
    assert outputs[0].joinpath("lr_finder.json").read_bytes() == outputs[1].joinpath("lr_finder.json").read_bytes()
    assert len(curve["losses"]) == len(curve["learning_rates"]) > 50
    # Around the rate that was given: 0.01.
    assert curve["learning_rates"][0] == pytest.approx(1e-4)
    assert 1e-4 < curve["suggested"] < curve["lowest"]
    assert finetune("classification", output=outputs[0], **cats_and_dogs, **quick)["examples"] == 24
