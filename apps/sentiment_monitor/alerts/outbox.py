"""The outbox: what is still to be sent. It is in the database, so that no alert is lost."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from apps.sentiment_monitor.alerts.alert import Alert
from apps.sentiment_monitor.alerts.channels import Channel
from apps.sentiment_monitor.store import Store

_LOG = logging.getLogger("sentiment_monitor")
_FIRST_PAUSE = 5.0
_LONGEST_PAUSE = 3600.0


class Outbox:
    """Sends the alerts of the database.

    An alert is repeated until its channel has accepted it, with pauses of 5 seconds, 10, 20 and so on, up to an hour.
    If the program is killed between the sending and the note that it was sent, the alert is sent again.

    Args:
        store: The database.
        channels: The channels.
    """

    def __init__(self, store: Store, channels: Sequence[Channel]) -> None:
        self._store = store
        self._channels = {channel.name: channel for channel in channels}
        for row in store.rows("SELECT channel, count(*) AS count FROM deliveries WHERE sent IS NULL GROUP BY channel"):
            if row["channel"] not in self._channels:
                _LOG.warning(
                    "%d alerts wait for the channel %s, which this command does not have", row["count"], row["channel"]
                )

    def deliver(self, now: float) -> int:
        """Sends what is due; returns the number of deliveries that were sent."""
        sent = 0
        due = self._store.rows(
            "SELECT channel, attempts, alerts.* FROM deliveries JOIN alerts ON alerts.id = alert "
            "WHERE sent IS NULL AND next <= ? ORDER BY alert",
            now,
        )
        for row in due:
            channel, alert = self._channels.get(row["channel"]), Alert.of_row(row)
            if channel is None:
                continue
            try:
                channel.send(alert)
            except OSError as error:
                pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(row["attempts"], 20))
                message = " ".join(str(error).split())[:300]
                self._store.rows(
                    "UPDATE deliveries SET attempts = attempts + 1, next = ?, error = ? "
                    "WHERE alert = ? AND channel = ?",
                    *(now + pause, message, alert.id, channel.name),
                )
                _LOG.warning(
                    "%s: alert %d was not sent (%s); next attempt in %.0f s", channel.name, alert.id, message, pause
                )
            else:
                self._store.rows(
                    "UPDATE deliveries SET attempts = attempts + 1, sent = ?, error = NULL "
                    "WHERE alert = ? AND channel = ?",
                    *(now, alert.id, channel.name),
                )
                sent += 1
                _LOG.info("%s: sent alert %d, %s", channel.name, alert.id, alert.title)
        return sent
