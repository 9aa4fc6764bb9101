import numpy as np
import pytest

from kbert.tasks.metrics.decisions import Decisions, probabilities_of
from kbert.tasks.metrics.temperature import LEAST, fit_temperature, is_at_bound


def drawn_classes(temperature, count=20_000, classes=4):
    """Decisions whose targets are drawn from the probabilities, and which are then sharpened by a temperature."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (count, classes))
    true = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    targets = (true.cumsum(-1) < rng.random(count)[:, None]).sum(-1)
    sharp = np.exp(logits * temperature)
    return Decisions(sharp / sharp.sum(-1, keepdims=True), targets)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_of_exclusive_classes_is_found(temperature):
    assert fit_temperature(drawn_classes(temperature)) == pytest.approx(temperature, rel=0.03)


def test_the_temperature_of_labels_is_found():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (10_000, 3))
    targets = rng.random(logits.shape) < probabilities_of(logits)
    assert fit_temperature(Decisions(probabilities_of(2 * logits), targets)) == pytest.approx(2.0, rel=0.03)


def test_no_other_temperature_has_a_smaller_cross_entropy():
    decisions = drawn_classes(2.0, count=200)
    found = fit_temperature(decisions)
    least = decisions.cross_entropy(found)
    assert all(decisions.cross_entropy(other) >= least for other in np.geomspace(0.3, 10, 50))
    assert not is_at_bound(found)


def test_a_model_that_is_always_right_gets_the_bound():
    found = fit_temperature(Decisions(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 1])))
    assert found == pytest.approx(LEAST, rel=1e-3)
    assert is_at_bound(found)
