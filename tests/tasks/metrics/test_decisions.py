import numpy as np
import pytest
from sklearn.metrics import log_loss

from kbert.tasks.metrics.decisions import Decisions, logits_of, probabilities_of


def test_exclusive_classes_by_hand():
    decisions = Decisions(np.array([[0.8, 0.2], [0.5, 0.5]], np.float32), np.array([0, 1]))
    assert decisions.exclusive
    np.testing.assert_allclose(decisions.probabilities(0.5), [[16 / 17, 1 / 17], [0.5, 0.5]], atol=1e-6)
    confidence, right = decisions.confidences()
    np.testing.assert_allclose(confidence, [0.8, 0.5])
    assert right.tolist() == [True, False]
    assert decisions.cross_entropy() == pytest.approx((np.log(1 / 0.8) + np.log(2)) / 2, abs=1e-6)


def test_labels_that_do_not_exclude_each_other_by_hand():
    decisions = Decisions(np.array([[0.8, 0.5]], np.float32), np.array([[True, False]]))
    assert not decisions.exclusive
    np.testing.assert_allclose(decisions.probabilities(0.5), [[16 / 17, 0.5]], atol=1e-6)
    confidence, true = decisions.confidences()
    np.testing.assert_allclose(confidence, [0.8, 0.5])
    assert true.tolist() == [True, False]
    assert decisions.cross_entropy() == pytest.approx((np.log(1 / 0.8) + np.log(2)) / 2, abs=1e-6)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_cross_entropy_is_that_of_scikit_learn(temperature):
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (40, 5))
    given = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    targets = rng.integers(0, 5, 40)
    decisions = Decisions(given, targets)
    expected = log_loss(targets, decisions.probabilities(temperature), labels=range(5))
    assert decisions.cross_entropy(temperature) == pytest.approx(expected)


def test_choices_that_an_example_does_not_have_stay_impossible():
    decisions = Decisions(np.array([[0.9, 0.1, 0.0], [0.2, 0.3, 0.5]], np.float32), np.array([1, 2]))
    probabilities = decisions.probabilities(10.0)
    assert probabilities[0, 2] == 0
    np.testing.assert_allclose(probabilities.sum(-1), 1)


def test_probabilities_that_float32_rounds_are_finite():
    decisions = Decisions(np.array([[1.0, 0.0]], np.float32), np.array([1]))
    assert np.isfinite(decisions.cross_entropy(2.0))
    assert np.isfinite(logits_of(np.array([0.0, 1.0], np.float32))).all()
    np.testing.assert_allclose(probabilities_of(logits_of(np.array([0.1, 0.5, 0.999]))), [0.1, 0.5, 0.999])
