"""Builds that a signal ends."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class Stopped(KeyboardInterrupt):
    """A signal ended the build; it can be resumed."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(
            f"stopped by {signal.Signals(signal_number).name}; add --resume to the same command to continue"
        )
        self.exit_code = 128 + signal_number


@contextlib.contextmanager
def raising_signals() -> Iterator[None]:
    """Turns the first SIGINT or SIGTERM into Stopped, where this is the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)

    def stop(number: int, frame: FrameType | None) -> None:
        restore()
        raise Stopped(number)

    def restore() -> None:
        for number, handler in handlers.items():
            signal.signal(number, handler)

    handlers = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        restore()
