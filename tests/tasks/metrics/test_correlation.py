import numpy as np
import pytest

from kbert.tasks.metrics.correlation import pearson, spearman


def test_correlations():
    first, second = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 3.0, 2.0, 40.0])
    # Deviations -1.5 -0.5 0.5 1.5 and -10.5 -8.5 -9.5 28.5: products sum to 58, squares to 5 and 1085.
    assert pearson(first, second) == pytest.approx(58 / np.sqrt(5 * 1085), abs=1e-12)
    assert spearman(first, second) == pytest.approx(1 - 6 * 2 / (4 * 15), abs=1e-12)
    assert spearman(np.array([1.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0])) == pytest.approx(np.sqrt(3) / 2)


def test_a_constant_has_none():
    assert pearson(np.ones(3), np.arange(3.0)) == spearman(np.arange(3.0), np.ones(3)) == 0.0
