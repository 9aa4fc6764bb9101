"""The settings of the rule."""

from __future__ import annotations

from dataclasses import dataclass

from apps.sentiment_monitor.errors import UsageError

HOUR = 3600
DAY = 24 * HOUR
WEEK = 7 * DAY
NEGATIVE, VOLUME = "negative", "volume"
LARGEST_THRESHOLD = 0.02
KINDS = (NEGATIVE, VOLUME)
"""More negative headlines among those of a topic; more headlines of a topic."""


@dataclass(frozen=True)
class Rule:
    """When a topic surges.

    Args:
        windows: The hours that are compared with the past; 24 is a multiple of each. A short window finds strong surges
            soon, and a long one finds weak surges at all.
        step: The minutes between two looks; 60 is a multiple of it.
        baseline: The days before the window that are the past.
        false_alarms: The number of false alarms a week, over all topics, that the threshold allows for.
        cool_down: The hours without a significant look after which a surge is over, and the next one is a new alert.
        least: The smallest number of headlines (of negative ones, for that kind) in the window of an alert.
    """

    windows: tuple[int, ...] = (6, 24)
    step: int = 30
    baseline: int = 28
    false_alarms: float = 0.2
    cool_down: float = 24.0
    least: int = 5

    def __post_init__(self) -> None:
        for window in self.windows:
            if window < 1 or 24 % window:
                raise UsageError(f"expected a --window that divides 24 hours. Received: {window}")
        if not self.windows or len(set(self.windows)) < len(self.windows):
            raise UsageError(f"expected each --window once. Received: {', '.join(map(str, self.windows))}")
        if self.step < 1 or 60 % self.step:
            raise UsageError(f"expected a --step that divides 60 minutes. Received: {self.step}")
        if self.baseline < 7:
            raise UsageError(f"expected a --baseline of at least 7 days. Received: {self.baseline}")
        if not self.false_alarms > 0:
            raise UsageError(f"expected --false-alarms above 0. Received: {self.false_alarms}")

    @property
    def step_seconds(self) -> int:
        """The seconds between two looks, which are the bins of counts."""
        return self.step * 60

    def bins_of(self, window: int) -> int:
        """Returns the number of bins in a window of some hours."""
        return window * 60 // self.step

    @property
    def day_bins(self) -> int:
        """The number of bins in a day."""
        return DAY // self.step_seconds

    @property
    def past_bins(self) -> int:
        """The number of bins before the end of a window that a look needs."""
        return (self.baseline + 1) * self.day_bins

    def threshold(self, topics: int) -> float:
        """Returns the p-value below which a look is significant.

        If p-values are right, the expected number of looks below the threshold in a week is the number of looks times
        the threshold, however much the looks depend on each other. So this threshold keeps false alarms at
        `false_alarms` a week or below: alerts are fewer than significant looks, since a surge is one alert.
        """
        looks = WEEK / self.step_seconds * topics * len(KINDS) * len(self.windows)
        return min(LARGEST_THRESHOLD, self.false_alarms / looks)
