"""What the page shows, out of the database."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from apps.sentiment_monitor.alerts.alert import Alert
from apps.sentiment_monitor.page.chart import Chart, make_chart
from apps.sentiment_monitor.store import Store
from apps.sentiment_monitor.surges.counts import Counts, stored_counts
from apps.sentiment_monitor.surges.rule import DAY, HOUR, KINDS
from apps.sentiment_monitor.times import show_time

RANGES = {1: HOUR, 7: 6 * HOUR, 28: DAY}
"""The days that can be shown, with the seconds of a bin."""
_USUAL_DAYS = 28
_HEADLINES = 40
_ALERTS = 20
_PROBLEMS = 20


@dataclass(frozen=True)
class TopicView:
    """A topic in the shown days.

    Args:
        name: The topic.
        count: The number of headlines.
        negative: The number of negative ones.
        usual: The share of negative headlines in the four weeks before the end of the shown days.
        chart: The chart.
        rows: The bins for people who do not see the chart: (begin, headlines, negative ones).
        surging: Whether a surge is going on.
    """

    name: str
    count: int
    negative: int
    usual: float | None
    chart: Chart
    rows: list[tuple[str, int, int]]
    surging: bool


def topic_views(store: Store, days: int, now: float) -> list[TopicView]:
    """Returns the topics, in the order of the model's labels."""
    models = store.state("models")
    if models is None:
        return []
    seconds = RANGES[days]
    counts = shown_counts(store, days, now)
    begin = counts.first * seconds
    past = stored_counts(store, counts.topics, models["negative"], now - _USUAL_DAYS * DAY, now, DAY)
    alerts = recent_alerts(store, begin)
    views = []
    for index, name in enumerate(counts.topics):
        everything, negative = counts.all[index], counts.negative[index]
        total = int(past.all[index].sum())
        usual = float(past.negative[index].sum()) / total if total else None
        own = [alert for alert, _ in alerts if alert.topic == name]
        chart = make_chart(
            everything,
            negative,
            begin=begin,
            seconds=seconds,
            usual=usual,
            alerts=[(alert.time, f"{show_time(alert.time)}: {alert.title}") for alert in own if alert.time >= begin],
        )
        rows = [
            (show_time(begin + place * seconds), int(count), int(bad))
            for place, (count, bad) in enumerate(zip(everything, negative, strict=True))
        ]
        surging = any(now - alert.last_time <= HOUR for alert in own)
        views.append(TopicView(name, int(everything.sum()), int(negative.sum()), usual, chart, rows, surging))
    return views


def shown_counts(store: Store, days: int, now: float) -> Counts:
    """Returns the counts of the shown days; the last bin is the one of `now`."""
    models = store.state("models") or {"topics": [], "negative": ""}
    seconds = RANGES[days]
    end = math.floor(now / seconds) + 1
    return stored_counts(
        store, models["topics"], models["negative"], (end - days * DAY // seconds) * seconds, end * seconds, seconds
    )


def recent_alerts(store: Store, since: float) -> list[tuple[Alert, str]]:
    """Returns the alerts whose surges lasted until `since` or longer, newest first, and what became of them."""
    rows = store.rows("SELECT * FROM alerts WHERE last_time >= ? ORDER BY id DESC LIMIT ?", since, _ALERTS)
    return [(Alert.of_row(row), _deliveries(store, row["id"])) for row in rows]


def _deliveries(store: Store, alert: int) -> str:
    """Returns a sentence about the deliveries of an alert."""
    rows = store.rows("SELECT * FROM deliveries WHERE alert = ? ORDER BY channel", alert)
    if not rows:
        return "Shown here only."
    parts = []
    for row in rows:
        if row["sent"] is not None:
            parts.append(f"sent to {row['channel']}")
        elif row["error"] is None:
            parts.append(f"waits for {row['channel']}")
        else:
            parts.append(f"waits for {row['channel']} after {row['attempts']} attempts ({row['error']})")
    sentence = "; ".join(parts)
    return f"{sentence[0].upper()}{sentence[1:]}."


def page_values(store: Store, days: int, now: float) -> dict[str, Any]:
    """Returns the values of the template."""
    models = store.state("models") or {"negative": ""}
    total, newest = store.rows("SELECT count(*), max(time) FROM headlines")[0]
    headlines = store.rows("SELECT * FROM headlines ORDER BY time DESC, id DESC LIMIT ?", _HEADLINES)
    return {
        "days": days,
        "ranges": list(RANGES),
        "now": show_time(now),
        "total": total,
        "newest": None if newest is None else show_time(newest),
        "topics": topic_views(store, days, now),
        "alerts": recent_alerts(store, now - days * DAY),
        "headlines": headlines,
        "negative": models["negative"],
        "problems": store.rows("SELECT * FROM problems ORDER BY time DESC LIMIT ?", _PROBLEMS),
        "problem_count": store.rows("SELECT count(*) FROM problems")[0][0],
        "show_time": show_time,
    }


def series_values(store: Store, days: int, now: float) -> dict[str, Any]:
    """Returns the time series as JSON."""
    counts = shown_counts(store, days, now)
    return {
        "begin": counts.first * counts.seconds,
        "seconds": counts.seconds,
        "topics": {
            topic: {"headlines": counts.all[index].tolist(), "negative": counts.negative[index].tolist()}
            for index, topic in enumerate(counts.topics)
        },
    }


def alert_values(store: Store, days: int, now: float) -> dict[str, Any]:
    """Returns the alerts as JSON, and how many are still to be sent."""
    waiting = store.rows("SELECT count(*) FROM deliveries WHERE sent IS NULL")[0][0]
    alerts = [alert.payload | {"deliveries": sent} for alert, sent in recent_alerts(store, now - days * DAY)]
    return {"alerts": alerts, "waiting": waiting, "kinds": list(KINDS)}
