"""An alert: its words, its place in the database, and what is sent."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from apps.sentiment_monitor.surges.looks import Look
from apps.sentiment_monitor.surges.rule import HOUR, NEGATIVE
from apps.sentiment_monitor.times import show_time

_EXAMPLES = 5


@dataclass(frozen=True)
class Alert:
    """A surge that was found.

    Args:
        id: The number of the alert in the database.
        topic: The topic.
        kind: One of KINDS.
        time: The time of the first significant look, in seconds since 1970.
        last_time: The time of the last one.
        details: The other fields of the look, "window" in hours, and "examples": headlines of the window.
    """

    id: int
    topic: str
    kind: str
    time: float
    last_time: float
    details: dict[str, Any]

    @property
    def title(self) -> str:
        """The alert in some words."""
        return f"{self.topic}: surge of {'negative headlines' if self.kind == NEGATIVE else 'headlines'}"

    @property
    def explanation(self) -> str:
        """The numbers of the alert in a sentence."""
        count, negative, expected = (self.details[name] for name in ("count", "negative", "expected"))
        window = f"in the {self.details['window']} hours before {show_time(self.time)} UTC"
        if self.kind == NEGATIVE:
            return (
                f"{negative} of {count} headlines ({negative / count:.0%}) {window} are negative; {expected:.0%} are "
                f"usual (p = {self.details['p_value']:.1g})."
            )
        return f"{count} headlines {window}; {expected:.1f} are usual (p = {self.details['p_value']:.1g})."

    @property
    def payload(self) -> dict[str, Any]:
        """What is sent as JSON. Slack, Mattermost and others show the field "text"."""
        return {
            "text": f"{self.title}. {self.explanation}",
            "id": self.id,
            "topic": self.topic,
            "kind": self.kind,
            "time": f"{show_time(self.time).replace(' ', 'T')}Z",
            **self.details,
        }

    @classmethod
    def of_row(cls, row: sqlite3.Row) -> Alert:
        """Returns the alert of a row of the table."""
        return cls(row["id"], row["topic"], row["kind"], row["time"], row["last_time"], json.loads(row["details"]))


def insert_alert(connection: sqlite3.Connection, look: Look, negative: str, channels: Sequence[str]) -> int:
    """Stores an alert, and that it is to be sent on the channels; returns its number."""
    order = "negative_probability DESC, time DESC" if look.kind == NEGATIVE else "time DESC"
    condition = "AND sentiment = ?" if look.kind == NEGATIVE else "AND ? IS NOT NULL"
    examples = connection.execute(
        f"SELECT text FROM headlines WHERE topic = ? AND time >= ? AND time < ? {condition} ORDER BY {order} LIMIT ?",
        (look.topic, look.time - look.window * HOUR, look.time, negative, _EXAMPLES),
    ).fetchall()
    details = {
        "p_value": look.p_value,
        "count": look.count,
        "negative": look.negative,
        "expected": round(look.expected, 4),
        "window": look.window,
        "examples": [row[0] for row in examples],
    }
    number = connection.execute(
        "INSERT INTO alerts (topic, kind, time, last_time, details) VALUES (?, ?, ?, ?, ?)",
        (look.topic, look.kind, look.time, look.time, json.dumps(details)),
    ).lastrowid
    assert number is not None
    connection.executemany(
        "INSERT INTO deliveries (alert, channel, next) VALUES (?, ?, 0)", [(number, channel) for channel in channels]
    )
    return number
