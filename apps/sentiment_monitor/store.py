"""The database: headlines with scores, how far sources were read, alerts, and what is still to be delivered."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from apps.sentiment_monitor.errors import MonitorError
from apps.sentiment_monitor.headline import Headline, Problem
from apps.sentiment_monitor.scoring import Score

_VERSION = 1
_TABLES = """
CREATE TABLE headlines (
    id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, text TEXT NOT NULL, source TEXT NOT NULL, time REAL NOT NULL,
    topic TEXT NOT NULL, topic_probability REAL NOT NULL, sentiment TEXT NOT NULL, negative_probability REAL NOT NULL
);
CREATE INDEX headlines_by_time ON headlines (time);
CREATE TABLE states (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE problems (place TEXT NOT NULL, message TEXT NOT NULL, time REAL NOT NULL, PRIMARY KEY (place, message));
CREATE TABLE alerts (
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL, kind TEXT NOT NULL, time REAL NOT NULL, last_time REAL NOT NULL,
    details TEXT NOT NULL
);
CREATE TABLE deliveries (
    alert INTEGER NOT NULL REFERENCES alerts, channel TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    next REAL NOT NULL, error TEXT, sent REAL, PRIMARY KEY (alert, channel)
);
"""


class Store:
    """A connection to the database; each thread opens its own.

    Args:
        path: The file, which is made if there is none.

    Raises:
        MonitorError: The file is no database of this program.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            self._connection.row_factory = sqlite3.Row
            # With a write-ahead log the page can read while headlines are stored.
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            with self.transaction() as connection:
                version = connection.execute("PRAGMA user_version").fetchone()[0]
                if version == 0 and connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
                    for statement in filter(str.strip, _TABLES.split(";")):
                        connection.execute(statement)
                    connection.execute(f"PRAGMA user_version={_VERSION}")
                elif version != _VERSION:
                    raise MonitorError(f"expected a database of this program. Received: {path}, which is another one")
        except sqlite3.Error as problem:
            raise MonitorError(f"expected a database that can be opened. Received: {path} ({problem})") from None

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """What is written in the block is written altogether, or not at all."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        """Returns the rows of a query."""
        return self._connection.execute(query, values).fetchall()

    # === Headlines ===

    def unknown(self, headlines: Sequence[Headline]) -> list[Headline]:
        """Returns the headlines that are not stored, each once."""
        by_digest = {headline.digest: headline for headline in reversed(headlines)}
        known = set()
        digests = list(by_digest)
        for start in range(0, len(digests), 500):
            part = digests[start : start + 500]
            marks = ",".join("?" * len(part))
            known |= {row[0] for row in self.rows(f"SELECT digest FROM headlines WHERE digest IN ({marks})", *part)}
        return [headline for digest, headline in reversed(by_digest.items()) if digest not in known]

    def add(
        self,
        headlines: Sequence[Headline],
        scores: Sequence[Score],
        *,
        problems: Sequence[Problem] = (),
        states: Mapping[str, Any] | None = None,
        now: float,
    ) -> None:
        """Stores headlines and how far their source was read, in one transaction."""
        with self.transaction() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO headlines (digest, text, source, time, topic, topic_probability, sentiment, "
                "negative_probability) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (headline.digest, headline.text, headline.source, headline.time, *_columns(score))
                    for headline, score in zip(headlines, scores, strict=True)
                ],
            )
            connection.executemany(
                "INSERT OR REPLACE INTO problems VALUES (?, ?, ?)",
                [(problem.place, problem.message, now) for problem in problems],
            )
            for key, value in (states or {}).items():
                connection.execute("INSERT OR REPLACE INTO states VALUES (?, ?)", (key, json.dumps(value)))

    def rescore(self, rows: Sequence[tuple[int, Score]]) -> None:
        """Replaces the scores of headlines, by their ids."""
        with self.transaction() as connection:
            connection.executemany(
                "UPDATE headlines SET topic=?, topic_probability=?, sentiment=?, negative_probability=? WHERE id=?",
                [(*_columns(score), number) for number, score in rows],
            )

    # === States ===

    def state(self, key: str) -> Any:
        """Returns a stored state; None if there is none."""
        found = self.rows("SELECT value FROM states WHERE key=?", key)
        return json.loads(found[0][0]) if found else None

    def set_state(self, key: str, value: Any) -> None:
        """Stores a state."""
        self._connection.execute("INSERT OR REPLACE INTO states VALUES (?, ?)", (key, json.dumps(value)))


def _columns(score: Score) -> tuple[str, float, str, float]:
    return score.topic, score.topic_probability, score.sentiment, score.negative_probability
