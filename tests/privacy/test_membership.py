import numpy as np
import pytest

from kbert.privacy.membership import measure_membership


def test_equal_numbers_are_chance():
    found = measure_membership(np.zeros(50), np.zeros(70))
    assert found.auc == 0.5
    assert found.auc_interval == (0.5, 0.5)
    assert found.true_positive_rates == {0.01: None, 0.001: None}  # 70 rows are too few
    assert found.epsilon_bound == 0.0


def test_the_area_counts_pairs():
    assert measure_membership(np.array([3.0, 1.0]), np.array([2.0, 1.0])).auc == (2 + 0.5) / 4


def test_rates_at_few_false_positives():
    rng = np.random.default_rng(0)
    # A tenth of the members is memorized.
    members = np.concatenate([rng.normal(size=3600), rng.normal(8, 1, size=400)])
    found = measure_membership(members, rng.normal(size=4000))
    assert found.auc == pytest.approx(0.55, abs=0.02)
    assert found.auc_interval[0] < found.auc < found.auc_interval[1]
    assert found.true_positive_rates[0.01] == pytest.approx(0.109, abs=0.01)
    assert found.true_positive_rates[0.001] == pytest.approx(0.101, abs=0.005)
    # True and false positive rates of 0.1 and 0.001 are an epsilon of log(100) without the uncertainty of the counts.
    assert 2.0 < found.epsilon_bound < np.log(101)


@pytest.mark.long
def test_without_a_difference_nothing_is_found():
    bounds, inside = [], 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        found = measure_membership(rng.normal(size=1000), rng.normal(size=1000), seed=seed)
        bounds.append(found.epsilon_bound)
        inside += found.auc_interval[0] < 0.5 < found.auc_interval[1]
    assert inside >= 8
    assert sum(bound > 0 for bound in bounds) <= 1


def test_the_same_seed_gives_the_same_figures():
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=500), rng.normal(size=500)
    assert measure_membership(*numbers, seed=3) == measure_membership(*numbers, seed=3)
    assert measure_membership(*numbers, seed=3).auc_interval != measure_membership(*numbers, seed=4).auc_interval
