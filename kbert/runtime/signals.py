"""SIGINT and SIGTERM: a run ends between two steps, with a checkpoint."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any


class Interrupted(KeyboardInterrupt):
    """A signal ended the run.

    Args:
        signal_number: Which.
        step: The steps that were done when a checkpoint was saved; None for whoever saves none.
    """

    def __init__(self, signal_number: int, step: int | None = None) -> None:
        saved = "" if step is None else f" after {step} steps; a checkpoint was saved: go on with --resume"
        super().__init__(f"stopped by {signal.Signals(signal_number).name}{saved}")
        self.exit_code = 128 + signal_number


class Signals:
    """Remembers SIGINT and SIGTERM, so that the loop can end at a step; a second one ends the program."""

    def __init__(self) -> None:
        self.received = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._before[number] = signal.signal(number, self._remember)
            except ValueError:
                break  # not the main thread: signals are somebody else's
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _remember(self, number: int, _: FrameType | None) -> None:
        if self.received:
            raise KeyboardInterrupt
        self.received = number
