"""What a replay measures: false alarms without surges, and the delay with which planted ones are found."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import stats

from apps.sentiment_monitor.replay.stream import MONDAY, PER_DAY, SPACE, Plant, Text, draw_stream, spaced_plants
from apps.sentiment_monitor.surges.counts import Counts
from apps.sentiment_monitor.surges.looks import significant_looks
from apps.sentiment_monitor.surges.rule import HOUR, NEGATIVE, VOLUME, WEEK, Rule
from apps.sentiment_monitor.surges.surges import new_surges

SHARES = (0.3, 0.5, 0.7)
FACTORS = (1.5, 2.0, 3.0)
"""The sizes of the planted surges."""
_WARM_UP = 5
"""The weeks before the first look: the past that the rule needs."""


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
        surges: The number of surges of each kind and size; there is one in each fifth week.
        seed: Determines the replay.
        scale: The factor by which there are more headlines than PER_DAY.
        progress: Called with a line before each replay.
    """
    rng = np.random.default_rng(seed)
    progress(f"{calm_weeks} weeks without surges")
    weeks = _WARM_UP + calm_weeks
    counts = _counts(draw_stream(texts, weeks, [], rng, scale=scale), topics, weeks, rule)
    first = counts.first + math.ceil(_WARM_UP * WEEK / counts.seconds)
    looks = significant_looks(counts, rule, first, counts.first + counts.all.shape[1])
    alerts = [look for look, begins in new_surges(looks, {}, rule) if begins]
    low, high = _poisson_interval(len(alerts))
    false_alarms = FalseAlarms(calm_weeks, len(alerts), len(alerts) / calm_weeks, low / calm_weeks, high / calm_weeks)
    detections = []
    for kind, sizes in ((NEGATIVE, SHARES), (VOLUME, FACTORS)):
        planted_in = ["Business"] if kind == NEGATIVE else [topic for topic in PER_DAY if topic in topics]
        for size in sizes:
            progress(f"{surges} surges: {kind}, {size:g}")
            plants = spaced_plants(kind, planted_in, size, surges, rng)
            weeks = SPACE * (surges + 1)
            counts = _counts(draw_stream(texts, weeks, plants, rng, scale=scale), topics, weeks, rule)
            detections.append(_detection(plants, counts, rule))
    return {"false_alarms": asdict(false_alarms), "detections": [asdict(detection) for detection in detections]}


def _counts(stream: Sequence[tuple[float, Text]], topics: Sequence[str], weeks: int, rule: Rule) -> Counts:
    seconds = rule.step_seconds
    events = ((int(time // seconds), text.topic, 1, int(text.found_negative)) for time, text in stream)
    return Counts.of_events(topics, round(MONDAY / seconds), math.ceil(weeks * WEEK / seconds), seconds, events)


def _detection(plants: Sequence[Plant], counts: Counts, rule: Rule) -> Detection:
    delays = []
    for plant in plants:
        # Until the shortest window has left the surge.
        first, last = plant.begin / counts.seconds, (plant.end + min(rule.windows) * HOUR) / counts.seconds
        looks = significant_looks(counts, rule, math.floor(first) + 1, math.floor(last))
        found = [look.time - plant.begin for look in looks if (look.kind, look.topic) == (plant.kind, plant.topic)]
        delays += [min(found) / HOUR] if found else []
    median, slowest = np.quantile(delays, [0.5, 0.9]) if delays else (math.nan, math.nan)
    return Detection(plants[0].kind, plants[0].size, len(plants), len(delays), float(median), float(slowest))


def _poisson_interval(count: int) -> tuple[float, float]:
    low = 0.0 if count == 0 else float(stats.chi2.ppf(0.025, 2 * count) / 2)
    return low, float(stats.chi2.ppf(0.975, 2 * count + 2) / 2)
