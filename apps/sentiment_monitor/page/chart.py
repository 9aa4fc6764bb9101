"""The geometry of a chart: the share of negative headlines above the number of headlines, over the same hours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone

import numpy as np

WIDTH, HEIGHT = 560, 218
_LEFT, _RIGHT = 40, 8
_SHARE = (20, 106)
_VOLUME = (132, 196)
"""The upper and the lower border of the two panels."""


@dataclass(frozen=True)
class Bar:
    """A bin: its place, the heights of all and of the negative headlines, and its words."""

    x: float
    width: float
    all: tuple[float, float]
    negative: tuple[float, float]
    title: str


@dataclass(frozen=True)
class Mark:
    """A text at a place, such as at a tick of an axis."""

    place: float
    text: str


@dataclass(frozen=True)
class Chart:
    """What the template draws.

    Args:
        bars: The bins.
        lines: The shares as points of lines; bins without headlines interrupt the line.
        dots: Shares whose neighbours have none.
        usual: The place of the usual share; None if there is none.
        shares: The ticks of the axis of shares.
        volumes: The ticks of the axis of numbers.
        times: The ticks of the axis of times.
        alerts: The alerts.
    """

    bars: list[Bar] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    dots: list[tuple[float, float]] = field(default_factory=list)
    usual: float | None = None
    shares: list[Mark] = field(default_factory=list)
    volumes: list[Mark] = field(default_factory=list)
    times: list[Mark] = field(default_factory=list)
    alerts: list[Mark] = field(default_factory=list)


def make_chart(
    everything: np.ndarray,
    negative: np.ndarray,
    *,
    begin: float,
    seconds: int,
    usual: float | None,
    alerts: Sequence[tuple[float, str]] = (),
) -> Chart:
    """Returns the geometry of a chart.

    Args:
        everything: The numbers of headlines, int64 [bins].
        negative: The numbers of negative ones, int64 [bins].
        begin: The beginning of the first bin, in seconds since 1970.
        seconds: The length of a bin.
        usual: The usual share of negative headlines.
        alerts: The times of alerts, with their words.
    """
    bins = len(everything)
    step = (WIDTH - _LEFT - _RIGHT) / max(1, bins)
    shares = np.divide(negative, everything, out=np.full(bins, np.nan), where=everything > 0)
    top_share = next(top for top in (0.2, 0.5, 1.0) if top >= np.nanmax([*shares, usual or 0.0, 0.0]))
    top_volume = _round_up(int(everything.max(initial=1)))

    def share_place(share: float) -> float:
        return round(_SHARE[1] - share / top_share * (_SHARE[1] - _SHARE[0]), 1)

    def volume_place(volume: float) -> float:
        return round(_VOLUME[1] - volume / top_volume * (_VOLUME[1] - _VOLUME[0]), 1)

    def across(time: float) -> float:
        return round(_LEFT + (time - begin) / seconds * step, 1)

    bars = []
    for index in range(bins):
        count, bad = int(everything[index]), int(negative[index])
        title = f"{_moment(begin + index * seconds, seconds)}: {count} headlines, {bad} negative"
        top, middle = volume_place(count), volume_place(bad)
        x, width = round(_LEFT + index * step + step * 0.1, 1), round(step * 0.8, 1)
        bars.append(Bar(x, width, (top, middle - top), (middle, _VOLUME[1] - middle), title))
    lines, dots = [], []
    for run in _runs(shares):
        points = [(across(begin + (index + 0.5) * seconds), share_place(float(shares[index]))) for index in run]
        if len(points) == 1:
            dots += points
        else:
            lines.append(" ".join(f"{x},{y}" for x, y in points))
    every = max(1, round(bins / 7))
    return Chart(
        bars,
        lines,
        dots,
        None if usual is None else share_place(usual),
        [Mark(share_place(share), f"{share:.0%}") for share in (0.0, top_share / 2, top_share)],
        [Mark(volume_place(volume), f"{volume:,}") for volume in (0, top_volume)],
        [
            Mark(across(begin + index * seconds), _moment(begin + index * seconds, max(seconds, every * seconds)))
            for index in range(bins)
            if (begin // seconds + index) % every == 0 and 0 < index < bins - 1
        ],
        [Mark(across(time), text) for time, text in alerts],
    )


def _runs(values: np.ndarray) -> list[list[int]]:
    """Returns the indices of values that are numbers, as runs without gaps."""
    runs: list[list[int]] = []
    for index in np.flatnonzero(np.isfinite(values)).tolist():
        if runs and runs[-1][-1] == index - 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    return runs


def _round_up(value: int) -> int:
    """Returns the next number with one digit before its zeros."""
    power = 1
    while True:
        for factor in (1, 2, 3, 4, 5, 6, 8):
            if factor * power >= value:
                return factor * power
        power *= 10


def _moment(time: float, seconds: int) -> str:
    """Returns the beginning of a bin; the hour alone, if bins are hours."""
    moment = datetime.fromtimestamp(time, timezone.utc)
    if seconds <= 3600:
        return f"{moment:%H:%M}"
    return f"{moment.day} {moment:%b}" if seconds >= 86400 else f"{moment.day} {moment:%b %H:%M}"
