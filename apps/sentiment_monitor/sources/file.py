"""A file that may grow, as programs that append to it make it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from apps.sentiment_monitor.headline import Problem
from apps.sentiment_monitor.sources.rows import Position, format_of, read_rows
from apps.sentiment_monitor.sources.source import Batch, States

_HEAD_BYTES = 256
_ROWS_AT_ONCE = 256
SETTLED_SECONDS = 10.0
"""After this time without a change, a last line without a line break is complete."""


class FileSource:
    """The rows of a file, and those that are appended to it later.

    How far it was read is kept in the store. A file that became shorter, or begins differently, is a new file; rows
    that it shares with the old one are headlines that are known.

    Args:
        path: The file.
        form: One of the formats of sources/rows.py; by default that of the suffix.
        complete: Whether nobody writes to the file any more, so that its last line needs no line break.
    """

    def __init__(self, path: Path, form: str | None = None, *, complete: bool = False) -> None:
        self.path = path
        self.name = str(path)
        self._form = form or format_of(path.name)
        self._complete = complete

    def poll(self, states: States, now: float) -> Batch:
        """Returns the next rows."""
        key = f"file:{self.path.resolve()}"
        try:
            with open(self.path, "rb") as stream:
                status = self.path.stat()
                head = stream.read(_HEAD_BYTES)
                position = _position(states.state(key), head, status.st_size)
                if position.offset == status.st_size:
                    return Batch()
                stream.seek(position.offset)
                rows = read_rows(
                    stream,
                    position,
                    self._form,
                    name=self.name,
                    now=now,
                    final=self._complete or now - status.st_mtime > SETTLED_SECONDS,
                    limit=_ROWS_AT_ONCE,
                )
        except OSError as problem:
            return Batch(
                problems=[Problem(self.name, f"expected a file that can be read. Received: {problem.strerror}")]
            )
        if rows.position == position:
            return Batch(problems=rows.problems)
        after = {
            "offset": rows.position.offset,
            "line": rows.position.line,
            "header": rows.position.header,
            **_head_state(head, rows.position.offset),
        }
        return Batch(rows.headlines, rows.problems, {key: after}, more=not rows.ended)


def _head_state(head: bytes, offset: int) -> dict[str, Any]:
    known = head[:offset]
    return {"head_bytes": len(known), "head_sha256": hashlib.sha256(known).hexdigest()}


def _position(state: Any, head: bytes, size: int) -> Position:
    """Returns where to go on; the beginning, if the file is not the one that was read."""
    if state is None or size < state["offset"]:
        return Position()
    known = head[: state["head_bytes"]]
    if hashlib.sha256(known).hexdigest() != state["head_sha256"]:
        return Position()
    header = state["header"]
    return Position(state["offset"], state["line"], None if header is None else tuple(header))
