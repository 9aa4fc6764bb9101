"""The loop: it reads sources, scores headlines, and looks for surges."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence

from apps.sentiment_monitor.alerts.alert import insert_alert
from apps.sentiment_monitor.errors import MonitorError
from apps.sentiment_monitor.scoring import Scorer
from apps.sentiment_monitor.sources.source import Batch, Source
from apps.sentiment_monitor.store import Store
from apps.sentiment_monitor.surges.counts import stored_counts
from apps.sentiment_monitor.surges.looks import significant_looks
from apps.sentiment_monitor.surges.rule import DAY, HOUR, Rule
from apps.sentiment_monitor.surges.surges import OpenSurges, new_surges

_LOG = logging.getLogger("sentiment_monitor")
_LAST_LOOK, _MODELS = "last look", "models"
_SENT_WITHIN = 48 * HOUR
"""Alerts about older times are shown on the page, and not sent: they come from an archive that was read."""
_LOOKS_BACK = 60 * DAY
"""Surges before this time are not looked for, since an archive may be long."""
POLL_SECONDS = 2.0


class Monitor:
    """Reads, scores and looks; the outbox sends.

    Args:
        store: The database.
        scorer: The models.
        sources: The sources.
        rule: When a topic surges.
        channels: The names of the channels on which alerts are to be sent.

    Raises:
        MonitorError: The headlines of the database were scored by other models.
    """

    def __init__(
        self, store: Store, scorer: Scorer, sources: Sequence[Source], rule: Rule, channels: Sequence[str] = ()
    ) -> None:
        self.store, self.rule = store, rule
        self._scorer, self._sources, self._channels = scorer, sources, channels
        self.problems = 0
        self.stored = 0
        self._told: dict[str, str] = {}
        self.alive_at = 0.0
        """The time of the last step, in seconds since 1970."""
        known = store.state(_MODELS)
        if known is not None and known["fingerprint"] != scorer.fingerprint:
            raise MonitorError(
                f"expected the models whose scores {store.path} holds, since other ones would look like a surge. "
                "Received: other models; name another --database, or run the command rescore with them first"
            )
        remember_models(store, scorer)

    def step(self, now: float) -> bool:
        """Reads what is new in each source, and looks if nothing more is waiting; returns whether something is."""
        batches = []
        for source in self._sources:
            batches.append(source.poll(self.store, now))
            self._ingest(source.name, batches[-1], now)
        if not any(batch.more for batch in batches):
            self._look(now)
        self.alive_at = now
        return any(batch.more for batch in batches)

    def run(self, stop: threading.Event, *, clock: Callable[[], float] = time.time) -> None:
        """Steps until it is stopped."""
        while not stop.is_set():
            if not self.step(clock()):
                stop.wait(POLL_SECONDS)

    def run_once(self, now: float) -> None:
        """Steps until no source has more to read."""
        while self.step(now):
            pass

    def _ingest(self, source: str, batch: Batch, now: float) -> None:
        # A file that cannot be read has the same problem in each step, until it can be.
        problems = [problem for problem in batch.problems if self._told.get(problem.place) != problem.message]
        for problem in problems:
            _LOG.warning("%s: %s", problem.place, problem.message)
            self._told[problem.place] = problem.message
        if not batch.problems:
            self._told.pop(source, None)
        self.problems += len(problems)
        new = self.store.unknown(batch.headlines)
        if new or batch.states or problems:
            scores = self._scorer.score([headline.text for headline in new])
            self.store.add(new, scores, problems=problems, states=batch.states, now=now)
            self.stored += len(new)

    def _look(self, now: float) -> None:
        """Makes the looks whose time has come since the last one."""
        seconds = self.rule.step_seconds
        last = math.floor(now / seconds)
        done = self.store.state(_LAST_LOOK)
        if done is not None and done["seconds"] == seconds:
            first = done["look"] + 1
        else:
            oldest = self.store.rows("SELECT min(time) FROM headlines")[0][0]
            first = last if oldest is None else math.floor(oldest / seconds) + 1
            if done is not None:
                first = max(first, math.ceil(done["look"] * done["seconds"] / seconds) + 1)
        first = max(first, last - _LOOKS_BACK // seconds)
        if first > last:
            return
        begin, end = (first - self.rule.past_bins) * seconds, last * seconds
        counts = stored_counts(self.store, self._scorer.topics, self._scorer.negative, begin, end, seconds)
        open_surges: OpenSurges = {
            (row["topic"], row["kind"]): row["last_time"]
            for row in self.store.rows("SELECT topic, kind, max(last_time) AS last_time FROM alerts GROUP BY 1, 2")
        }
        looks = list(new_surges(significant_looks(counts, self.rule, first, last), open_surges, self.rule))
        with self.store.transaction() as connection:
            for look, begins in looks:
                if begins:
                    channels = self._channels if now - look.time <= _SENT_WITHIN else []
                    number = insert_alert(connection, look, self._scorer.negative, channels)
                    _LOG.info("alert %d: %s, %s", number, look.topic, look.kind)
                connection.execute(
                    "UPDATE alerts SET last_time = ? "
                    "WHERE id = (SELECT max(id) FROM alerts WHERE topic = ? AND kind = ?)",
                    (look.time, look.topic, look.kind),
                )
            self.store.set_state(_LAST_LOOK, {"look": last, "seconds": seconds})


def remember_models(store: Store, scorer: Scorer) -> None:
    """Stores which models score the headlines of a database, for later commands and for the page."""
    models = {"fingerprint": scorer.fingerprint, "topics": scorer.topics, "negative": scorer.negative}
    store.set_state(_MODELS, models)


def rescore(store: Store, scorer: Scorer, at_once: int = 512) -> int:
    """Scores all headlines of a database again; returns their number."""
    last = done = 0
    while rows := store.rows("SELECT id, text FROM headlines WHERE id > ? ORDER BY id LIMIT ?", last, at_once):
        scores = scorer.score([row["text"] for row in rows])
        store.rescore([(row["id"], score) for row, score in zip(rows, scores, strict=True)])
        last, done = rows[-1]["id"], done + len(rows)
    remember_models(store, scorer)
    return done
