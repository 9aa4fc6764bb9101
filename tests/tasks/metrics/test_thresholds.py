import numpy as np
import pytest
from sklearn.metrics import f1_score

from kbert.tasks.metrics.thresholds import best_threshold


def test_by_hand():
    four = np.array([0.1, 0.3, 0.6, 0.8], np.float32)
    assert best_threshold(four, np.array([0, 1, 0, 1], bool)) == pytest.approx(0.2)
    assert best_threshold(np.array([0.1, 0.9], np.float32), np.array([False, True])) == 0.5
    assert best_threshold(np.array([0.1, 0.9], np.float32), np.array([False, False])) == 0.5


@pytest.mark.parametrize("cases", [10, pytest.param(1000, marks=pytest.mark.slow)])
def test_no_other_threshold_does_better(cases):
    rng = np.random.default_rng(0)
    for _ in range(cases):
        count = rng.integers(1, 12)
        probabilities = rng.random(count).round(1).astype(np.float32)  # with equals
        truth = rng.random(count) < 0.4
        truth[0] = True
        threshold = best_threshold(probabilities, truth)
        assert threshold == np.float32(threshold)
        reached = f1_score(truth, probabilities >= np.float32(threshold))
        others = np.unique(probabilities)
        assert reached >= max(f1_score(truth, probabilities >= other) for other in others) - 1e-12
