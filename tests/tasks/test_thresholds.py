import numpy as np
from sklearn.metrics import f1_score

from kbert.tasks.thresholds import best_threshold


def test_by_hand():
    assert best_threshold(np.array([0.1, 0.3, 0.6, 0.8], np.float32), np.array([0, 1, 0, 1], bool)) == np.float32(0.2)
    assert best_threshold(np.array([0.1, 0.9], np.float32), np.array([False, True])) == 0.5
    assert best_threshold(np.array([0.1, 0.9], np.float32), np.array([False, False])) == 0.5


def test_no_other_threshold_does_better():
    rng = np.random.default_rng(0)
    for _ in range(200):
        count = rng.integers(1, 12)
        probabilities = rng.random(count).round(1).astype(np.float32)  # with equals
        truth = rng.random(count) < 0.4
        threshold = best_threshold(probabilities, truth)
        assert threshold == np.float32(threshold)
        reached = f1_score(truth, probabilities >= np.float32(threshold), zero_division=0)
        others = [f1_score(truth, probabilities >= other, zero_division=0) for other in np.linspace(0, 1, 41)]
        assert reached >= max(others) - 1e-12 or not truth.any()
