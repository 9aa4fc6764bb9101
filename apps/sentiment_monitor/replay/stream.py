"""Simulated news: which headline comes when, with planted surges.

The data sets have no times, so the times are simulated:

- Stories begin at random, most at 14 o'clock UTC (1.7 times the mean) and fewest at 2 (0.3 times); half as many at
  weekends.
- A story has one headline, and with probability 1/3 another one, then with 1/3 one more, and so on; they follow it
  after 3 hours in the mean. All have the topic of the story, and stories from the Financial PhraseBank its sentiment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from apps.sentiment_monitor.surges.rule import DAY, HOUR, NEGATIVE, VOLUME, WEEK

FINANCE = "finance"
"""The group of the sentences from the Financial PhraseBank; the other groups are the topics of AG News."""
PER_DAY: Mapping[str, float] = {"World": 40, "Sports": 40, "Business": 20, "Sci/Tech": 30, FINANCE: 40}
"""The headlines of each group on a weekday."""
SPACE = 5
"""The weeks from one surge to the next one."""
_FOLLOWS = 1 / 3
_PAUSE = 3 * HOUR
MONDAY = 1_767_571_200.0
"""Monday, 5 January 2026, in seconds since 1970."""


@dataclass(frozen=True)
class Plant:
    """A planted surge.

    Args:
        kind: NEGATIVE or VOLUME.
        topic: The topic in which it should be found.
        begin: Its beginning, in seconds since 1970.
        end: Its end.
        size: For NEGATIVE the share of negative sentences among those of finance; for VOLUME the factor by which there
            are more headlines.
    """

    kind: str
    topic: str
    begin: float
    end: float
    size: float


@dataclass(frozen=True)
class Text:
    """A headline that can be replayed.

    Args:
        text: The headline.
        group: FINANCE, or a topic of AG News.
        is_negative: Whether its label says that it is negative; titles of AG News have no such label.
        topic: The topic that the model finds; "" if none was asked.
        found_negative: Whether the model finds it negative.
    """

    text: str
    group: str
    is_negative: bool = False
    topic: str = ""
    found_negative: bool = False


def spaced_plants(kind: str, topics: Sequence[str], size: float, count: int, rng: np.random.Generator) -> list[Plant]:
    """Returns surges of 24 hours, one in each fifth week, which begin at a random hour from Monday to Thursday.

    So the four weeks before a surge, with which it is compared, have no other surge.
    """
    plants = []
    for number in range(count):
        begin = MONDAY + SPACE * WEEK * (number + 1) + float(rng.uniform(0, 4 * DAY))
        plants.append(Plant(kind, topics[number % len(topics)], begin, begin + DAY, size))
    return plants


def draw_stream(
    texts: Sequence[Text],
    weeks: int,
    plants: Sequence[Plant],
    rng: np.random.Generator,
    *,
    scale: float = 1.0,
    monday: float = MONDAY,
) -> list[tuple[float, Text]]:
    """Draws headlines with their times, in no particular order.

    Args:
        texts: The headlines to draw from, with replacement.
        weeks: The number of weeks.
        plants: The surges.
        rng: The source of randomness.
        scale: The factor by which there are more headlines than PER_DAY.
        monday: The beginning of a Monday (UTC), at which the stream begins.
    """
    groups = {
        (group, negative): [text for text in texts if text.group == group and text.is_negative == negative]
        for group in PER_DAY
        for negative in ((False, True) if group == FINANCE else (False,))
    }
    sentences = len(groups[FINANCE, False]), len(groups[FINANCE, True])
    usual = sentences[1] / sum(sentences)
    stream: list[tuple[float, Text]] = []
    for group, per_day in PER_DAY.items():
        for hour in range(weeks * 7 * 24):
            begin = monday + hour * HOUR
            middle = begin + HOUR / 2
            active = [plant for plant in plants if plant.begin <= middle < plant.end]
            more = max([plant.size for plant in active if plant.kind == VOLUME and plant.topic == group], default=1.0)
            share = max([plant.size for plant in active if plant.kind == NEGATIVE], default=usual)
            rate = scale * per_day / 24 * (1 - _FOLLOWS) * _rhythm(middle) * more
            for _ in range(rng.poisson(rate)):
                negative = group == FINANCE and bool(rng.random() < share)
                moment = begin + float(rng.uniform(0, HOUR))
                for number in range(rng.geometric(1 - _FOLLOWS)):
                    moment += float(rng.exponential(_PAUSE)) if number else 0.0
                    choices = groups[group, negative]
                    stream.append((moment, choices[rng.integers(len(choices))]))
    return stream


def _rhythm(time: float) -> float:
    """Returns the factor of the time of the day and of the week."""
    hour = (time - MONDAY) / HOUR
    weekend = (hour // 24) % 7 >= 5
    return float((1 + 0.7 * np.cos((hour - 14) * 2 * np.pi / 24)) * (0.5 if weekend else 1.0))
