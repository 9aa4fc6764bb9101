"""Headlines that another program writes to standard input."""

from __future__ import annotations

import io
import queue
import threading
from typing import BinaryIO

from apps.sentiment_monitor.sources.rows import Position, read_rows
from apps.sentiment_monitor.sources.source import Batch, States

_ROWS_AT_ONCE = 256
_WAIT = 0.2


class StandardInputSource:
    """The lines of a stream, which are read as they come.

    A thread reads the stream, since a read waits until something is written. What was read cannot be read again, so a
    killed program may lose the lines that it had read and not yet stored.

    Args:
        stream: The stream, such as `sys.stdin.buffer`.
        form: One of the formats of sources/rows.py.
        complete: Whether there is more to read until the stream ends.
    """

    name = "standard input"

    def __init__(self, stream: BinaryIO, form: str = "lines", *, complete: bool = False) -> None:
        self._form, self._complete = form, complete
        self._lines: queue.Queue[bytes | None] = queue.Queue(maxsize=10_000)
        self._rest = b""
        self._position = Position()
        self._ended = False
        threading.Thread(target=self._read, args=[stream], name="standard input", daemon=True).start()

    @property
    def ended(self) -> bool:
        """Whether the other program has closed the stream, and all of it was read."""
        return self._ended and not self._rest

    def _read(self, stream: BinaryIO) -> None:
        for line in stream:
            self._lines.put(line)
        self._lines.put(None)

    def poll(self, states: States, now: float) -> Batch:
        """Returns the rows that have come."""
        parts = [self._rest]
        while len(parts) <= _ROWS_AT_ONCE and not self._ended:
            try:
                line = self._lines.get(self._complete and len(parts) == 1, timeout=_WAIT)
            except queue.Empty:
                break
            self._ended = line is None
            parts.append(line or b"")
        data = b"".join(parts)
        begin = self._position
        rows = read_rows(
            io.BytesIO(data),
            begin,
            self._form,
            name=self.name,
            now=now,
            final=self._ended,
            limit=len(parts),
        )
        self._position = rows.position
        self._rest = data[rows.position.offset - begin.offset :]
        if rows.problems and self._position.header is None and self._form in ("csv", "tsv"):
            self._ended, self._rest = True, b""  # without its header, a table cannot be read
        more = not self._ended if self._complete else len(parts) > _ROWS_AT_ONCE
        return Batch(rows.headlines, rows.problems, more=more)
