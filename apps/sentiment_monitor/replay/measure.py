"""What a replay measures: false alarms without surges, and the delay with which planted ones are found."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import stats

from apps.sentiment_monitor.replay.stream import MONDAY, PER_DAY, Plant, Text, draw_stream, weekly_plants
from apps.sentiment_monitor.surges.counts import Counts
from apps.sentiment_monitor.surges.looks import Look, significant_looks
from apps.sentiment_monitor.surges.rule import HOUR, NEGATIVE, VOLUME, WEEK, Rule
from apps.sentiment_monitor.surges.surges import new_surges

SHARES = (0.3, 0.5, 0.7)
FACTORS = (1.5, 2.0, 3.0)
"""The sizes of the planted surges."""
_WARM_UP = 5
"""The weeks before the first surge: the past that the rule needs."""


@dataclass(frozen=True)
class FalseAlarms:
    """Alerts in weeks without surges, with the exact 95 % confidence interval of the number a week."""

    weeks: int
    alerts: int
    per_week: float
    low: float
    high: float


@dataclass(frozen=True)
class Detection:
    """How many surges were found, and after how many hours.

    Args:
        kind: The kind of the surges.
        size: Their size; see `Plant`.
        planted: Their number.
        found: The number of those that were found before their end, or at most the shortest window later.
        median_hours: The median of the delay of those that were found; NaN if none was.
        slowest_hours: The ninth decile of the delay.
    """

    kind: str
    size: float
    planted: int
    found: int
    median_hours: float
    slowest_hours: float


def measure(
    texts: Sequence[Text],
    topics: Sequence[str],
    rule: Rule,
    *,
    calm_weeks: int,
    surges: int,
    seed: int = 0,
    scale: float = 1.0,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Replays headlines and returns {"false_alarms": FalseAlarms, "detections": [Detection]} as dictionaries.

    Args:
        texts: The headlines with what the models say.
        topics: The topics of the model.
        rule: The rule to measure.
        calm_weeks: The weeks without surges, after five weeks of past.
        surges: The number of surges of each kind and size; there is one in each week.
        seed: Determines the replay.
        scale: The factor by which there are more headlines than PER_DAY.
        progress: Called with a line before each replay.
    """
    rng = np.random.default_rng(seed)
    progress(f"{calm_weeks} weeks without surges")
    alerts = _alerts(
        draw_stream(texts, _WARM_UP + calm_weeks, [], rng, scale=scale), topics, _WARM_UP + calm_weeks, rule
    )
    low, high = _poisson_interval(len(alerts))
    false_alarms = FalseAlarms(calm_weeks, len(alerts), len(alerts) / calm_weeks, low / calm_weeks, high / calm_weeks)
    detections = []
    weeks = _WARM_UP + surges
    for kind, sizes in ((NEGATIVE, SHARES), (VOLUME, FACTORS)):
        planted_in = ["Business"] if kind == NEGATIVE else [topic for topic in PER_DAY if topic in topics]
        for size in sizes:
            progress(f"{surges} surges: {kind}, {size:g}")
            plants = weekly_plants(kind, planted_in, size, surges, rng)
            stream = draw_stream(texts, weeks, plants, rng, scale=scale)
            detections.append(_detection(plants, _alerts(stream, topics, weeks, rule), rule))
    return {"false_alarms": asdict(false_alarms), "detections": [asdict(detection) for detection in detections]}


def _alerts(stream: Sequence[tuple[float, Text]], topics: Sequence[str], weeks: int, rule: Rule) -> list[Look]:
    """Returns the alerts after the first weeks."""
    seconds = rule.step_seconds
    first, bins = round(MONDAY / seconds), math.ceil(weeks * WEEK / seconds)
    events = ((int(time // seconds), text.topic, 1, int(text.found_negative)) for time, text in stream)
    counts = Counts.of_events(topics, first, bins, seconds, events)
    begin = first + math.ceil(_WARM_UP * WEEK / seconds)
    looks = significant_looks(counts, rule, begin, first + bins)
    return [look for look, begins in new_surges(looks, {}, rule) if begins]


def _detection(plants: Sequence[Plant], alerts: Sequence[Look], rule: Rule) -> Detection:
    delays = []
    for plant in plants:
        found = [
            alert.time - plant.begin
            for alert in alerts
            if (alert.kind, alert.topic) == (plant.kind, plant.topic)
            and plant.begin < alert.time <= plant.end + min(rule.windows) * HOUR
        ]
        delays += [min(found) / HOUR] if found else []
    median, slowest = np.quantile(delays, [0.5, 0.9]) if delays else (math.nan, math.nan)
    return Detection(plants[0].kind, plants[0].size, len(plants), len(delays), float(median), float(slowest))


def _poisson_interval(count: int) -> tuple[float, float]:
    low = 0.0 if count == 0 else float(stats.chi2.ppf(0.025, 2 * count) / 2)
    return low, float(stats.chi2.ppf(0.975, 2 * count + 2) / 2)
