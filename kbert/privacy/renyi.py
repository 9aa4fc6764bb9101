"""Rényi differential privacy of the sampled Gaussian mechanism, and its conversion to ε and δ.

A step of DP-SGD draws each row with probability q, sums vectors of norm at most 1 and adds Gaussian noise of the
standard deviation σ to the sum. Its Rényi divergence of the order α is log(A) / (α - 1), where A is a moment that
Mironov, Talwar and Zhang computed (arXiv 1908.10530, section 3.3). Divergences of steps add up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import special

ORDERS: Sequence[float] = (*(1 + tenth / 10 for tenth in range(1, 100)), *range(11, 64), 128, 256, 512, 1024)
"""The orders among which the one with the smallest ε is chosen."""
_NEGLIGIBLE = -30.0
"""The logarithm of a term, relative to the sum so far, below which the terms of a series are left out."""


def renyi_divergence(sampling_rate: float, noise_multiplier: float, order: float) -> float:
    """Returns the Rényi divergence of one step.

    Args:
        sampling_rate: The probability q of each row, in (0, 1].
        noise_multiplier: The standard deviation σ of the noise, for vectors of norm at most 1.
        order: The order α, above 1.

    Example:
        >>> renyi_divergence(1.0, 2.0, 8)
        1.0
        >>> round(renyi_divergence(0.01, 1.0, 8), 6)
        0.00105
    """
    if sampling_rate == 1.0:
        return order / (2 * noise_multiplier**2)
    whole = float(order).is_integer()
    moment = _log_moment_whole if whole else _log_moment_fractional
    return moment(sampling_rate, noise_multiplier, order) / (order - 1)


def epsilon_of(divergences: Sequence[float], delta: float) -> float:
    """Returns the smallest ε that follows from the divergences of the orders in ORDERS.

    The conversion is theorem 21 of arXiv 1908.07588, as in proposition 12 of arXiv 2004.00010.

    Args:
        divergences: The divergence of all steps together for each order.
        delta: The δ.
    """
    bounds = [
        divergence + math.log1p(-1 / order) - math.log(delta * order) / (order - 1)
        for order, divergence in zip(ORDERS, divergences, strict=True)
    ]
    return max(0.0, min(bounds))


def _log_moment_whole(rate: float, noise: float, order: float) -> float:
    """Returns log A for a whole order: the binomial sum of equation 6 of arXiv 1908.10530."""
    k = np.arange(order + 1)
    terms = _log_binomial(order, k) + k * math.log(rate) + (order - k) * math.log1p(-rate)
    return float(special.logsumexp(terms + k * (k - 1) / (2 * noise**2)))


def _log_moment_fractional(rate: float, noise: float, order: float) -> float:
    """Returns log A for a fractional order, as the series of section 3.3 of arXiv 1908.10530.

    There are two series, for the outputs below and above the point where the densities with and without the row are
    equal.
    """
    middle = noise**2 * math.log(1 / rate - 1) + 0.5
    count = 64
    while True:
        k = np.arange(count, dtype=float)
        signs = special.gammasgn(order - k + 1)  # the sign of the binomial coefficient
        below = k * math.log(rate) + (order - k) * math.log1p(-rate) + k * (k - 1) / (2 * noise**2)
        below += special.log_ndtr((middle - k) / noise)
        rest = order - k
        above = rest * math.log(rate) + k * math.log1p(-rate) + rest * (rest - 1) / (2 * noise**2)
        above += special.log_ndtr((rest - middle) / noise)
        terms = _log_binomial(order, k) + np.logaddexp(below, above)
        total = float(special.logsumexp(terms, b=signs))
        if terms[-1] - total < _NEGLIGIBLE:
            return total
        count *= 2


def _log_binomial(order: float, k: np.ndarray) -> np.ndarray:
    """Returns log |order over k|."""
    logarithm: np.ndarray = special.gammaln(order + 1) - special.gammaln(k + 1) - special.gammaln(order - k + 1)
    return logarithm
