"""How well a number for each row tells the training rows of a model (members) from other rows (non-members).

The larger number is that of a member, if the attack is right. The measures are those of Carlini et al. (arXiv
2112.03570): beside the area under the ROC curve, the true positive rate at a low false positive rate, since an attack
that is sure of few rows is worse than one that is a little right about all of them.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np
from scipy import stats

FALSE_POSITIVE_RATES = (0.01, 0.001)
"""The false positive rates at which the true positive rate is measured."""
_RESAMPLES = 1000
_CONFIDENCE = 0.95


@dataclasses.dataclass(frozen=True)
class Membership:
    """The success of an attack.

    Args:
        auc: The area under the ROC curve: the probability that a random member has a larger number than a random
            non-member. 0.5 is chance.
        auc_interval: The interval that covers the area with a probability of 95 %, by bootstrap.
        true_positive_rates: The part of the members that is found at each of FALSE_POSITIVE_RATES; None at a rate that
            is below that of one non-member.
        epsilon_bound: The ε that the model exceeds with a confidence of 95 %; 0 if nothing is found.
    """

    auc: float
    auc_interval: tuple[float, float]
    true_positive_rates: Mapping[float, float | None]
    epsilon_bound: float


def measure_membership(members: np.ndarray, non_members: np.ndarray, *, seed: int = 0) -> Membership:
    """Measures how well the numbers of members and non-members tell them apart.

    Args:
        members: The number of each member, [N].
        non_members: The number of each non-member, [M].
        seed: Seeds the bootstrap and the choice of rows for thresholds.

    Example:
        >>> found = measure_membership(np.arange(100, 300), np.arange(200))
        >>> round(found.auc, 3), found.true_positive_rates[0.01]
        (0.876, 0.505)
    """
    rng = np.random.default_rng(seed)
    areas = [
        _area(rng.choice(members, len(members)), rng.choice(non_members, len(non_members))) for _ in range(_RESAMPLES)
    ]
    low, high = np.quantile(areas, [(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2])
    rates = {
        rate: float(np.mean(members > _threshold(non_members, rate))) if rate * len(non_members) >= 1 else None
        for rate in FALSE_POSITIVE_RATES
    }
    bound = _epsilon_bound(rng.permutation(members), rng.permutation(non_members))
    return Membership(_area(members, non_members), (float(low), float(high)), rates, bound)


def _area(members: np.ndarray, non_members: np.ndarray) -> float:
    """Returns the area under the ROC curve, by the ranks of all numbers (Mann and Whitney); ties count half."""
    ranks = stats.rankdata(np.concatenate([members, non_members]))[: len(members)]
    above = ranks.sum() - len(members) * (len(members) + 1) / 2
    return float(above / (len(members) * len(non_members)))


def _threshold(non_members: np.ndarray, rate: float) -> float:
    """Returns the lowest threshold that at most this part of the non-members exceeds."""
    allowed = int(rate * len(non_members))
    return float(np.sort(non_members)[len(non_members) - 1 - allowed])


def _epsilon_bound(members: np.ndarray, non_members: np.ndarray) -> float:
    """Returns a lower bound of ε from the true and the false positive rates at the rates in FALSE_POSITIVE_RATES.

    Differential privacy with δ = 0 implies TPR ≤ e^ε FPR. The thresholds are those of one half of the rows, and the
    rates those of the other half, with the bounds of Clopper and Pearson for all rates together.
    """
    chosen_from, counted = np.array_split(non_members, 2)
    members = members[len(members) // 2 :]
    tail = (1 - _CONFIDENCE) / (2 * len(FALSE_POSITIVE_RATES))
    bound = 0.0
    for rate in FALSE_POSITIVE_RATES:
        if rate * len(chosen_from) < 1:
            continue
        threshold = _threshold(chosen_from, rate)
        found, wrong = int((members > threshold).sum()), int((counted > threshold).sum())
        least = stats.beta.ppf(tail, found, len(members) - found + 1) if found else 0.0
        most = stats.beta.ppf(1 - tail, wrong + 1, len(counted) - wrong) if wrong < len(counted) else 1.0
        if least > 0:
            bound = max(bound, math.log(least / most))
    return bound
