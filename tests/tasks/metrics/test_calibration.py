import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from kbert.tasks.metrics.calibration import expected_calibration_error, reliability


def test_by_hand():
    table = reliability(np.array([0.5, 0.6, 0.95, 1.0]), np.array([True, False, True, True]), bins=10)
    assert table == [
        {"from": 0.4, "to": 0.5, "confidence": 0.5, "accuracy": 1.0, "examples": 1},
        {"from": pytest.approx(0.5), "to": pytest.approx(0.6), "confidence": 0.6, "accuracy": 0.0, "examples": 1},
        {"from": 0.9, "to": 1.0, "confidence": pytest.approx(0.975), "accuracy": 1.0, "examples": 2},
    ]
    assert expected_calibration_error(table) == pytest.approx((0.5 + 0.6 + 2 * 0.025) / 4)


@pytest.mark.parametrize("cases", [30, pytest.param(1000, marks=pytest.mark.slow)])
def test_the_curve_equals_that_of_scikit_learn(cases):
    rng = np.random.default_rng(0)
    for _ in range(cases):
        count = rng.integers(1, 60)
        confidences = rng.random(count).round(rng.integers(1, 6))  # some of them on the edge of two bins
        right = rng.random(count) < confidences
        accuracy, confidence = calibration_curve(right, confidences, n_bins=15)
        table = reliability(confidences, right)
        np.testing.assert_allclose([row["accuracy"] for row in table], accuracy, rtol=0, atol=1e-9)
        np.testing.assert_allclose([row["confidence"] for row in table], confidence, rtol=0, atol=1e-9)
        assert sum(row["examples"] for row in table) == count
