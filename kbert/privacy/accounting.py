"""The accounting of differential privacy: the ε of a training run, and the noise that an ε requires.

A run consists of steps. Each draws every training row independently with the probability q, and adds Gaussian noise to
a sum in which a row has a norm of at most 1. ε and δ are those of adding a row to the training data or removing one.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

from kbert.errors import UsageError
from kbert.privacy.renyi import ORDERS, epsilon_of, renyi_divergence

RENYI = "RDP"
"""The accountant of kbert.privacy.renyi."""
PRIVACY_LOSS = "PLD"
"""The accountant of dp-accounting that composes distributions of the privacy loss. Its ε is about a fifth lower."""
_LEAST_NOISE, _MOST_NOISE = 0.05, 1e4
_LOWER = 0.8
"""The factor of the noise by RENYI below which the noise by PRIVACY_LOSS is not searched."""
_PRECISION = 1e-3
"""The relative precision of the noise multiplier."""


def best_accountant() -> str:
    """Returns the accountant with the lowest ε that is installed: PLD with the extra kbert[privacy], otherwise RDP."""
    return RENYI if importlib.util.find_spec("dp_accounting") is None else PRIVACY_LOSS


def epsilon(noise_multiplier: float, sampling_rate: float, steps: int, delta: float, accountant: str = RENYI) -> float:
    """Returns the ε of a run.

    Args:
        noise_multiplier: The standard deviation of the noise, divided by the largest norm of a row.
        sampling_rate: The probability with which a step draws a row.
        steps: The number of steps.
        delta: The δ.
        accountant: RENYI or PRIVACY_LOSS.

    Example:
        >>> rows, batch = 67_349, 1_024
        >>> round(epsilon(1.0, batch / rows, 198, 1 / (2 * rows)), 2)
        1.82
    """
    if accountant == PRIVACY_LOSS:
        return _epsilon_by_privacy_loss(noise_multiplier, sampling_rate, steps, delta)
    return epsilon_of([steps * renyi_divergence(sampling_rate, noise_multiplier, order) for order in ORDERS], delta)


def noise_for(wanted: float, sampling_rate: float, steps: int, delta: float, accountant: str = RENYI) -> float:
    """Returns the smallest noise multiplier with which a run has at most the wanted ε, up to 0.1 %.

    Args:
        wanted: The wanted ε.
        sampling_rate: The probability with which a step draws a row.
        steps: The number of steps.
        delta: The δ.
        accountant: RENYI or PRIVACY_LOSS.

    Raises:
        UsageError: No noise is enough for an ε that small.

    Example:
        >>> round(noise_for(1.82, 1_024 / 67_349, 198, 1 / (2 * 67_349)), 2)
        1.0
    """

    def is_enough(by: str) -> Callable[[float], bool]:
        return lambda noise: epsilon(noise, sampling_rate, steps, delta, by) <= wanted

    most = _LEAST_NOISE
    while not is_enough(RENYI)(most):
        most *= 2
        if most > _MOST_NOISE:
            raise UsageError(f"no noise gives an epsilon of {wanted:g} in {steps:,} steps; give a larger one")
    found = _smallest(is_enough(RENYI), most / 2, most)
    # The bound of Rényi's divergences needs a tenth of the time, and its noise is at least that of the other one.
    return found if accountant == RENYI else _smallest(is_enough(accountant), _LOWER * found, found)


def _smallest(is_enough: Callable[[float], bool], low: float, high: float) -> float:
    """Returns the smallest value between `low` and `high` that is enough, given that `high` is."""
    while high / low > 1 + _PRECISION:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def _epsilon_by_privacy_loss(noise_multiplier: float, sampling_rate: float, steps: int, delta: float) -> float:
    import dp_accounting
    from dp_accounting.pld import PLDAccountant

    step = dp_accounting.PoissonSampledDpEvent(sampling_rate, dp_accounting.GaussianDpEvent(noise_multiplier))
    run = dp_accounting.SelfComposedDpEvent(step, steps)
    return float(PLDAccountant().compose(run).get_epsilon(delta))
