"""The running service: the monitor in one thread, the outbox in another one, and the page."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import uvicorn

from apps.sentiment_monitor.alerts.channels import Channel
from apps.sentiment_monitor.alerts.outbox import Outbox
from apps.sentiment_monitor.monitor import POLL_SECONDS, Monitor
from apps.sentiment_monitor.page.app import make_app
from apps.sentiment_monitor.scoring import Scorer
from apps.sentiment_monitor.sources.source import Source
from apps.sentiment_monitor.store import Store
from apps.sentiment_monitor.surges.rule import Rule

_LOG = logging.getLogger("sentiment_monitor")


class Service:
    """The parts of the program, joined by the database.

    Args:
        database: The file of the database.
        scorer: The models.
        sources: The sources.
        rule: When a topic surges.
        channels: Where alerts are sent.
    """

    def __init__(
        self, database: Path, scorer: Scorer, sources: Sequence[Source], rule: Rule, channels: Sequence[Channel]
    ) -> None:
        self._database, self._channels = database, channels
        self._monitor = Monitor(Store(database), scorer, sources, rule, [channel.name for channel in channels])
        self._stop = threading.Event()
        self._failure: BaseException | None = None

    def once(self, now: float) -> Monitor:
        """Reads what there is, and sends alerts once; returns the monitor."""
        self._monitor.run_once(now)
        outbox = Outbox(self._monitor.store, self._channels)
        outbox.deliver(now)
        return self._monitor

    def run(self, host: str, port: int) -> None:
        """Runs until a signal stops the page, or the monitor fails.

        Raises:
            Exception: What made the monitor or the outbox fail.
        """
        started = time.time()
        app = make_app(self._database, alive_at=lambda: self._monitor.alive_at or started)
        # log_config=None leaves the handlers of the process as they are.
        quiet: dict[str, Any] = {"log_config": None, "log_level": "warning", "access_log": False}
        server = uvicorn.Server(uvicorn.Config(app, host=host, port=port, **quiet))
        threads = [
            threading.Thread(target=self._guarded, args=[work, server], name=name)
            for name, work in (("monitor", self._watch), ("outbox", self._deliver))
        ]
        for thread in threads:
            thread.start()
        _LOG.info("the page is at http://%s:%d", host, port)
        try:
            server.run()
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()
        if self._failure is not None:
            raise self._failure

    def _guarded(self, work: Callable[[], None], server: uvicorn.Server) -> None:
        """Runs one of the threads; if it fails, the whole service ends, so that somebody notices."""
        try:
            work()
        except BaseException as failure:
            self._failure = failure
            server.should_exit = True
            self._stop.set()

    def _watch(self) -> None:
        self._monitor.run(self._stop)

    def _deliver(self) -> None:
        outbox = Outbox(Store(self._database), self._channels)
        while not self._stop.is_set():
            outbox.deliver(time.time())
            self._stop.wait(POLL_SECONDS)
