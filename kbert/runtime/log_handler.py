"""The messages of the logger "kbert" on the terminal, for the command line."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator

_LOG = "kbert"


class _LineHandler(logging.Handler):
    """Writes each record as one line to the standard error of that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes INFO as its message alone, higher levels with their name before it."""
        try:
            line = " ".join(self.format(record).split())
            prefix = "" if record.levelno < logging.WARNING else f"{record.levelname.capitalize()}: "
            print(prefix + line, file=sys.stderr, flush=True)
        except Exception:
            self.handleError(record)


@contextlib.contextmanager
def logs_on_stderr() -> Iterator[None]:
    """Prints the records of the logger "kbert" from INFO upwards on standard error during the block."""
    logger = logging.getLogger(_LOG)
    handler = _LineHandler()
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False  # some library may have given the root logger a handler that prints as well
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate
