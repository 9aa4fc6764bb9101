"""A file of headlines with simulated times, for a first look at the page."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from apps.sentiment_monitor.errors import MonitorError
from apps.sentiment_monitor.replay.stream import MONDAY, Plant, Text, draw_stream
from apps.sentiment_monitor.surges.rule import DAY, NEGATIVE, VOLUME, WEEK

_WEEKS = 6
_SOURCES = tuple("Courier Echo Gazette Herald Journal Ledger Mercury Monitor Observer Post Tribune Wire".split())


def write_headlines(texts: Sequence[Text], output: Path, now: float, *, seed: int = 0) -> int:
    """Writes five weeks and more of headlines until now, and returns their number.

    On the last full weekday, more than half of the financial headlines are negative; five working days before it there
    were three times as many headlines about sports.

    Args:
        texts: The headlines to draw from.
        output: The table to write, with the columns text, time and source; it must be new.
        now: The present time in seconds since 1970.
        seed: Determines which headlines come when.
    """
    if output.exists():
        raise MonitorError(f"expected a new file for --output. Received: {output}, which exists")
    rng = np.random.default_rng(seed)
    monday = now - (now - MONDAY) % WEEK - (_WEEKS - 1) * WEEK
    day = now - (now - MONDAY) % DAY - DAY
    while (day - MONDAY) % WEEK >= 5 * DAY:
        day -= DAY
    plants = [
        Plant(VOLUME, "Sports", day - WEEK, day - WEEK + DAY, 3.0),
        Plant(NEGATIVE, "Business", day, day + DAY, 0.6),
    ]
    stream = draw_stream(texts, _WEEKS, plants, rng, monday=monday)
    rows = sorted((time, text.text, _SOURCES[rng.integers(len(_SOURCES))]) for time, text in stream if time <= now)
    output.parent.mkdir(parents=True, exist_ok=True)
    with open(output, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "time", "source"))
        for time, text, source in rows:
            writer.writerow((text, datetime.fromtimestamp(time, timezone.utc).isoformat(timespec="seconds"), source))
    return len(rows)
