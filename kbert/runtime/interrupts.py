"""SIGINT and SIGTERM: work ends at a safe place, and the program with the exit code of the signal."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A signal ended the work.

    Args:
        signal_number: The number of the signal.
        outcome: The rest of the message: what was saved, and how to continue.
    """

    def __init__(self, signal_number: int, outcome: str = "") -> None:
        super().__init__(f"stopped by {signal.Signals(signal_number).name}{outcome}")
        self.exit_code = 128 + signal_number


@contextlib.contextmanager
def handled_signals(handle: Callable[[int], None]) -> Iterator[None]:
    """Calls `handle` with the number of each SIGINT and SIGTERM that comes during the block.

    Afterwards the signals do what they did before. Python delivers signals to the main thread only; in any other
    thread the block runs without a handler, because the signals belong to the main program.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handler(number: int, _: FrameType | None) -> None:
        handle(number)

    before: dict[int, Any] = {}
    try:
        for each in SIGNALS:
            before[each] = signal.signal(each, handler)
        yield
    finally:
        for caught, earlier in before.items():
            signal.signal(caught, earlier)


@contextlib.contextmanager
def raised_signals(outcome: str) -> Iterator[None]:
    """Raises Interrupted for the first SIGINT or SIGTERM of the block; later ones do what they did before it.

    Args:
        outcome: The rest of the message of the exception.
    """
    with contextlib.ExitStack() as stack:

        def stop(number: int) -> None:
            stack.close()  # so that a second signal ends a clean-up that hangs
            raise Interrupted(number, outcome)

        stack.enter_context(handled_signals(stop))
        yield


def ignore_interrupts() -> None:
    """Ignores SIGINT in a worker: Ctrl-C reaches all processes of a terminal; the first one stops the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class Signals:
    """Remembers the first SIGINT or SIGTERM, so that a loop can end between two steps; a second one ends the program.

    Used as a context manager. `received` is the number of the signal, or 0.
    """

    def __init__(self) -> None:
        self.received = 0
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Signals:
        self._stack.enter_context(handled_signals(self._remember))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _remember(self, number: int) -> None:
        if self.received:
            raise KeyboardInterrupt
        self.received = number
