"""The two tests: how likely a window is, if it is like the past."""

from __future__ import annotations

import numpy as np
from scipy import special


def volume_p_value(count: int, comparable: np.ndarray, dispersion: float) -> float:
    """Returns the probability of as many headlines as there are, or more.

    The expected number is the mean of comparable windows. News comes in clusters, so its variance is larger than that
    of a Poisson distribution: by the factor `dispersion`. With it, and with the uncertainty of the mean, the number of
    headlines has a negative binomial distribution. With a dispersion of 1 this is the predictive distribution of a
    Poisson rate with a gamma prior.

    Args:
        count: The number of headlines in the window.
        comparable: Those in windows of the past at the same time of the day, int64 [days].
        dispersion: The variance of such numbers divided by their mean, at least 1.

    Example:
        >>> import numpy as np
        >>> round(volume_p_value(30, np.full(20, 10), 1.0), 9)
        6.46e-07
    """
    days = len(comparable)
    mean = (comparable.sum() + 0.5) / days
    variance = mean * dispersion * (1 + 1 / days)
    size = mean**2 / (variance - mean)
    # The regularized incomplete beta function is the upper tail of the negative binomial distribution.
    return float(special.betainc(count, size, 1 - mean / variance))


def volume_dispersion(windows: np.ndarray) -> float:
    """Returns the variance of numbers of headlines divided by their mean: at least 1.

    Args:
        windows: The numbers in windows without overlap, int64 [days, windows of a day]. Each time of the day, and
            weekdays and weekends, have their own means; so the windows are those of days of one kind.
    """
    means = windows.mean(0)
    freedom = (len(windows) - 1) * int((means > 0).sum())
    if freedom < 1:
        return 1.0
    squares = ((windows - means) ** 2 / np.where(means > 0, means, 1.0)).sum()
    return max(1.0, float(squares) / freedom)


def share_p_value(negative: int, count: int, past_negative: np.ndarray, past_all: np.ndarray) -> float:
    """Returns the probability of as many negative headlines among `count` as there are, or more.

    The expected share is that of the past. Negative headlines come in clusters, too, so their number has a
    beta-binomial distribution. Its correlation is estimated from the windows of the past (the moment estimator of
    Pearson's statistic), and the uncertainty of the share is added to it.

    Args:
        negative: The number of negative headlines in the window.
        count: The number of headlines in the window.
        past_negative: The numbers of negative headlines in windows of the past without overlap, int64 [windows].
        past_all: The numbers of headlines in them, int64 [windows].

    Example:
        >>> import numpy as np
        >>> round(share_p_value(15, 30, np.full(100, 2), np.full(100, 20)), 8)
        5e-08
    """
    total = int(past_all.sum())
    share = (past_negative.sum() + 0.5) / (total + 1)
    used = past_all > 0
    sizes = past_all[used]
    squares = ((past_negative[used] - sizes * share) ** 2 / (sizes * share * (1 - share))).sum()
    correlation = max(0.0, (squares - (len(sizes) - 1)) / max(1, (sizes - 1).sum()))
    # The variance of the estimated share, as a correlation that all headlines of the window share.
    uncertainty = (1 + (sizes.mean() - 1) * correlation) / total
    correlation = min(0.99, correlation + (1 - correlation) * uncertainty)
    size = 1 / correlation - 1
    return _beta_binomial_tail(negative, count, share * size, (1 - share) * size)


def _beta_binomial_tail(least: int, count: int, first: float, second: float) -> float:
    """Returns the probability that a beta-binomial number is `least` or larger."""
    numbers = np.arange(least, count + 1)
    choices = -np.log(count + 1) - special.betaln(count - numbers + 1, numbers + 1)
    logarithms = choices + special.betaln(numbers + first, count - numbers + second) - special.betaln(first, second)
    return float(min(1.0, np.exp(logarithms).sum()))
