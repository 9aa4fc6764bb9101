"""Looks: what the tests say about the window before a moment."""

from __future__ import annotations

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
    """

    topic: str
    kind: str
    time: float
    p_value: float
    count: int
    negative: int
    expected: float


def significant_looks(counts: Counts, rule: Rule, first: int, last: int) -> Iterator[Look]:
    """Yields the significant looks, in the order of time.

    Args:
        counts: The counts, which begin `rule.past_bins` before the first look or earlier. Bins before them are empty.
        rule: The settings of the rule, whose step is the length of a bin.
        first: The number of the bin at whose beginning the first look is.
        last: The same for the last look.
    """
    totals = _Windows(counts.all.sum(0)[None], counts.first)
    everything, negative = _Windows(counts.all, counts.first), _Windows(counts.negative, counts.first)
    threshold = rule.threshold(len(counts.topics))
    width = rule.window_bins
    for look in range(first, last + 1):
        now, now_negative = everything.sums(np.array([look]), width)[:, 0], negative.sums(np.array([look]), width)[:, 0]
        if now.max(initial=0) < rule.least:
            continue
        past = _Past(rule, look, totals)
        if past.is_short:
            continue
        past_all, past_negative = everything.sums(past.ends, width), negative.sums(past.ends, width)
        for index, topic in enumerate(counts.topics):
            history = past_all[index]
            if now[index] < rule.least or history.sum() < _LEAST_PAST:
                continue
            found = {
                NEGATIVE: _negative(now[index], now_negative[index], history, past_negative[index], rule.least),
                VOLUME: _volume(now[index], history[past.alike]),
            }
            for kind, (p_value, expected) in found.items():
                if p_value < threshold:
                    time = float(look * counts.seconds)
                    yield Look(topic, kind, time, p_value, int(now[index]), int(now_negative[index]), expected)


def _negative(
    count: int, negative: int, past: np.ndarray, past_negative: np.ndarray, least: int
) -> tuple[float, float]:
    """Returns the p-value of a share, and the expected share."""
    share = past_negative.sum() / past.sum()
    if negative < least or negative <= count * share:
        return 1.0, float(share)
    return share_p_value(int(negative), int(count), past_negative.ravel(), past.ravel()), float(share)


def _volume(count: int, days: np.ndarray) -> tuple[float, float]:
    """Returns the p-value of a number of headlines, and the expected number; `days` are windows [days, of a day]."""
    expected = float(days[:, 0].mean())
    if count <= expected:
        return 1.0, expected
    return volume_p_value(int(count), days[:, 0], volume_dispersion(days)), expected


class _Windows:
    """Sums of bins."""

    def __init__(self, bins: np.ndarray, first: int) -> None:
        self._sums = np.concatenate([np.zeros((len(bins), 1), np.int64), bins.cumsum(1)], 1)
        self._first = first

    def sums(self, ends: np.ndarray, width: int) -> np.ndarray:
        """Returns the sums of the `width` bins before each end, int64 [topics, *ends.shape]."""
        last = self._sums.shape[1] - 1
        places = np.clip(ends - self._first, 0, last)
        begins = np.clip(ends - self._first - width, 0, last)
        sums: np.ndarray = self._sums[:, places] - self._sums[:, begins]
        return sums


class _Past:
    """The windows that a look compares with: those of each of the last days, at the same times of the day.

    The windows of a day are those that end a number of whole days before the look, and those before them, back to the
    next day. Days without any headline are left out, since the monitor did not run or had no network.

    Args:
        rule: The settings of the rule.
        look: The number of the bin at which the look is.
        totals: The numbers of headlines of all topics together.
    """

    def __init__(self, rule: Rule, look: int, totals: _Windows) -> None:
        days = look - rule.day_bins * np.arange(1, rule.baseline + 1)
        days = days[totals.sums(days, rule.day_bins)[0] > 0]
        self.is_short = len(days) < LEAST_DAYS
        self.ends = days[:, None] - rule.window_bins * np.arange(rule.day_bins // rule.window_bins)
        """The ends of the windows, as numbers of bins [days, windows of a day]; the first are at the time of day of the
        look."""
        weekend = _is_weekend(days, rule) == _is_weekend(np.array([look]), rule)
        self.alike = weekend if weekend.sum() >= LEAST_DAYS else np.full(len(days), True)
        """The days to compare numbers of headlines with: weekdays or weekends, if they are enough."""


def _is_weekend(ends: np.ndarray, rule: Rule) -> np.ndarray:
    """Returns whether windows end on Saturdays or Sundays (UTC); midnight belongs to the day before."""
    day = (ends * rule.step_seconds - 1) // DAY
    weekend: np.ndarray = (day - _MONDAY) % 7 >= 5
    return weekend
