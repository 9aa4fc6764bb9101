import numpy as np
import pytest

from kbert.tasks.metrics.selective import answered_scores, risk_coverage, risk_coverage_area, threshold_of_risk

CONFIDENCES = np.array([0.6, 0.9, 0.8, 0.7])
RIGHT = np.array([False, True, True, False])


def test_the_curve_by_hand():
    assert risk_coverage(CONFIDENCES, RIGHT, points=4) == [
        {"coverage": 0.25, "risk": 0.0, "confidence": 0.9},
        {"coverage": 0.5, "risk": 0.0, "confidence": 0.8},
        {"coverage": 0.75, "risk": pytest.approx(1 / 3), "confidence": 0.7},
        {"coverage": 1.0, "risk": 0.5, "confidence": 0.6},
    ]
    assert risk_coverage_area(CONFIDENCES, RIGHT) == pytest.approx((0 + 0 + 1 / 3 + 1 / 2) / 4)


def test_equal_confidences_share_their_errors():
    one = risk_coverage_area(np.array([0.5, 0.5]), np.array([True, False]))
    other = risk_coverage_area(np.array([0.5, 0.5]), np.array([False, True]))
    assert one == other == 0.5


def test_few_examples_have_fewer_rows_than_points():
    assert [row["coverage"] for row in risk_coverage(CONFIDENCES[:2], RIGHT[:2])] == [0.5, 1.0]


@pytest.mark.parametrize(("risk", "threshold"), [(0.0, 0.75), (0.4, 0.65), (0.5, 0.0), (0.33, 0.75)])
def test_the_threshold_of_a_risk(risk, threshold):
    assert threshold_of_risk(CONFIDENCES, RIGHT, risk) == pytest.approx(threshold)


def test_no_threshold_separates_equal_confidences():
    assert threshold_of_risk(np.array([0.9, 0.9]), np.array([True, False]), 0.1) is None
    assert threshold_of_risk(np.array([0.9, 0.9]), np.array([True, False]), 0.5) == 0.0


def test_scores_of_a_model_that_abstains():
    assert answered_scores(CONFIDENCES, RIGHT, 0.7) == {"coverage": 0.75, "answered_accuracy": pytest.approx(2 / 3)}
    assert answered_scores(CONFIDENCES, RIGHT, 1.0) == {"coverage": 0.0, "answered_accuracy": 0.0}
