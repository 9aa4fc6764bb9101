import math

import numpy as np
import pytest

from kbert.privacy.renyi import ORDERS, epsilon_of, renyi_divergence


def by_integration(rate, noise, order):
    """The divergence of N(0, noise²) and the mixture with N(1, noise²), by the trapezoidal rule."""
    z, width = np.linspace(-40 * noise - 5, 40 * noise + order + 5, 200_001, retstep=True)
    log_density = -(z**2) / (2 * noise**2)
    log_ratio = np.logaddexp(math.log1p(-rate), math.log(rate) + (2 * z - 1) / (2 * noise**2))
    values = np.exp(log_density + order * log_ratio) / (noise * math.sqrt(2 * math.pi))
    return math.log((values.sum() - (values[0] + values[-1]) / 2) * width) / (order - 1)


@pytest.mark.parametrize("order", [1.1, 1.7, 2.0, 3.3, 9.9, 24.0])
@pytest.mark.parametrize(("rate", "noise"), [(0.001, 0.6), (0.0152, 1.0), (0.3, 0.8), (0.9, 2.0)])
def test_whole_and_fractional_orders_equal_the_integral(rate, noise, order):
    assert renyi_divergence(rate, noise, order) == pytest.approx(
        by_integration(rate, noise, order), rel=1e-6, abs=1e-11
    )


def test_without_sampling_it_is_the_gaussian_mechanism():
    assert renyi_divergence(1.0, 3.0, 5) == 5 / 18
    assert renyi_divergence(0.99999, 3.0, 5) == pytest.approx(5 / 18, rel=1e-4)


def test_the_best_order_decides():
    divergences = [0.01 * order for order in ORDERS]
    smallest = min(0.01 * order + math.log1p(-1 / order) - math.log(1e-5 * order) / (order - 1) for order in ORDERS)
    assert epsilon_of(divergences, 1e-5) == smallest
    assert epsilon_of([0.0] * len(ORDERS), 0.9) == 0.0
