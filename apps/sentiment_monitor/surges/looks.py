"""Looks: what the tests say about the window before a moment."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from apps.sentiment_monitor.surges.counts import Counts
from apps.sentiment_monitor.surges.rule import DAY, NEGATIVE, VOLUME, Rule
from apps.sentiment_monitor.surges.significance import share_p_value, volume_dispersion, volume_p_value

LEAST_DAYS = 7
"""The smallest number of days with headlines that are a past."""
_LEAST_PAST = 50
"""The smallest number of headlines of a topic that are a past."""
_MONDAY = 4
"""The number of days from Thursday, 1 January 1970, to a Monday."""


@dataclass(frozen=True)
class Look:
    """A significant window.

    Args:
        topic: The topic.
        kind: One of KINDS.
        time: The end of the window, in seconds since 1970.
        p_value: The probability of such a window, if it is like the past.
        count: The number of headlines of the topic in the window.
        negative: The number of negative ones among them.
        expected: What the past lets expect: for NEGATIVE a share of `count`, for VOLUME a number of headlines.
        window: The hours of the window.
    """

    topic: str
    kind: str
    time: float
    p_value: float
    count: int
    negative: int
    expected: float
    window: int


def significant_looks(counts: Counts, rule: Rule, first: int, last: int) -> Iterator[Look]:
    """Yields the significant looks, in the order of time; of several windows, the one with the smallest p-value.

    Args:
        counts: The counts, which begin `rule.past_bins` before the first look or earlier. Bins before them are empty.
        rule: The settings of the rule, whose step is the length of a bin.
        first: The number of the bin at whose beginning the first look is.
        last: The same for the last look.
    """
    past = _Past(counts, rule)
    threshold = rule.threshold(len(counts.topics))
    for look in range(first, last + 1):
        found: dict[tuple[str, str], Look] = {}
        for window in rule.windows:
            for each in _looks_of_window(counts, past, rule, look, window):
                key = each.topic, each.kind
                if each.p_value < threshold and (key not in found or each.p_value < found[key].p_value):
                    found[key] = each
        yield from found.values()


def _looks_of_window(counts: Counts, past: _Past, rule: Rule, look: int, window: int) -> Iterator[Look]:
    """Yields the looks at each topic, whether they are significant or not."""
    width = rule.bins_of(window)
    now, now_negative = past.sums(np.array([look]), width)[:, :, 0]
    if now.max(initial=0) < rule.least:
        return
    days = past.days(look)
    if len(days) < LEAST_DAYS:
        return
    # The windows of a day are those that end a number of whole days before the look, and those before them.
    ends = days[:, None] - width * np.arange(rule.day_bins // width)
    alike = past.alike(days, look)
    all_before, negative_before = past.sums(ends, width)
    for index, topic in enumerate(counts.topics):
        count, negative, before = int(now[index]), int(now_negative[index]), all_before[index]
        if count < rule.least or before.sum() < _LEAST_PAST:
            continue
        found = {
            NEGATIVE: _negative(count, negative, before, negative_before[index], rule.least),
            VOLUME: _volume(count, before[alike]),
        }
        for kind, (p_value, expected) in found.items():
            yield Look(topic, kind, float(look * counts.seconds), p_value, count, negative, expected, window)


def _negative(
    count: int, negative: int, past: np.ndarray, past_negative: np.ndarray, least: int
) -> tuple[float, float]:
    """Returns the p-value of a share, and the expected share."""
    share = past_negative.sum() / past.sum()
    if negative < least or _is_usual(negative, count * share, 1 - share):
        return 1.0, float(share)
    return share_p_value(int(negative), int(count), past_negative.ravel(), past.ravel()), float(share)


def _volume(count: int, days: np.ndarray) -> tuple[float, float]:
    """Returns the p-value of a number of headlines, and the expected number; `days` are windows [days, of a day]."""
    expected = float(days[:, 0].mean())
    if _is_usual(count, expected):
        return 1.0, expected
    return volume_p_value(int(count), days[:, 0], volume_dispersion(days)), expected


def _is_usual(count: float, expected: float, factor: float = 1.0) -> bool:
    """Returns whether a number is so near to the expected one that its p-value is above LARGEST_THRESHOLD.

    Poisson and binomial numbers up to two standard deviations above their means have p-values above 0.023, and those of
    the tests are larger. So most p-values need not be computed.

    Args:
        count: The number.
        expected: The expected number.
        factor: The variance of a number divided by its mean: 1 for Poisson numbers, and less for binomial ones.
    """
    return count <= expected + 2 * math.sqrt(expected * factor)


class _Past:
    """Sums of headlines in windows, and the days that a look compares with.

    Args:
        counts: The counts.
        rule: The settings of the rule.
    """

    def __init__(self, counts: Counts, rule: Rule) -> None:
        both = np.stack([counts.all, counts.negative])
        self._sums = np.concatenate([np.zeros((*both.shape[:2], 1), np.int64), both.cumsum(2)], 2)
        self._first, self._rule = counts.first, rule

    def sums(self, ends: np.ndarray, width: int) -> np.ndarray:
        """Returns the headlines and the negative ones in the `width` bins before each end.

        Args:
            ends: The ends, as numbers of bins, of any shape.
            width: The number of bins.

        Returns:
            The sums, int64 [2, topics, *ends.shape].
        """
        last = self._sums.shape[2] - 1
        places = np.clip(ends - self._first, 0, last)
        begins = np.clip(ends - self._first - width, 0, last)
        sums: np.ndarray = self._sums[:, :, places] - self._sums[:, :, begins]
        return sums

    def days(self, look: int) -> np.ndarray:
        """Returns the ends of the days before a look, at its time of the day.

        Days without any headline are left out, since the monitor did not run or had no network.
        """
        days = look - self._rule.day_bins * np.arange(1, self._rule.baseline + 1)
        kept: np.ndarray = days[self.sums(days, self._rule.day_bins)[0].sum(0) > 0]
        return kept

    def alike(self, days: np.ndarray, look: int) -> np.ndarray:
        """Returns which days a number of headlines is compared with: weekdays or weekends, if they are enough."""
        alike = _is_weekend(days, self._rule) == _is_weekend(np.array([look]), self._rule)
        return alike if alike.sum() >= LEAST_DAYS else np.full(len(days), True)


def _is_weekend(ends: np.ndarray, rule: Rule) -> np.ndarray:
    """Returns whether windows end on Saturdays or Sundays (UTC); midnight belongs to the day before."""
    day = (ends * rule.step_seconds - 1) // DAY
    weekend: np.ndarray = (day - _MONDAY) % 7 >= 5
    return weekend
