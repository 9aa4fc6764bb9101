import numpy as np
import pytest

from kbert.training.run_folder.best_weights import BestWeights


def offers(path, metrics, **options):
    best = BestWeights(path, "f1", **{"larger_is_better": True, "resume": False} | options)
    for step, values in enumerate(metrics, start=1):
        best.offer(step, values, {"name": "tagging"}, {"weight": np.full(2, step, np.float32)})
    return best


@pytest.mark.parametrize(
    ("metrics", "step"),
    [
        ([{"f1": 0.1}, {"f1": 0.3}, {"f1": 0.2}], 2),
        ([{"f1": 0.3}, {"f1": 0.3}], 1),
        ([{"f1": 0.0, "loss": 3.0}, {"f1": 0.0, "loss": 2.0}, {"f1": 0.0, "loss": 2.5}], 2),
        ([{"f1": 0.3, "loss": 3.0}, {"f1": 0.2, "loss": 1.0}], 1),
    ],
)
def test_the_metric_decides_and_then_the_loss(tmp_path, metrics, step):
    found, best, task, tensors = offers(tmp_path / "best.safetensors", metrics).load()
    assert (found, best, task) == (step, metrics[step - 1], {"name": "tagging"})
    assert tensors["weight"].tolist() == [step, step]


def test_a_resumed_run_goes_on_from_what_was_best(tmp_path):
    offers(tmp_path / "best.safetensors", [{"f1": 0.5, "loss": 1.0}])
    best = offers(tmp_path / "best.safetensors", [{"f1": 0.5, "loss": 2.0}], resume=True)
    assert best.load()[1]["loss"] == 1.0
    best = offers(tmp_path / "best.safetensors", [{"f1": 0.5, "loss": 0.5}], resume=True)
    assert best.load()[1]["loss"] == 0.5
