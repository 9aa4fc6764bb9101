"""A folder into which other programs write files of headlines."""

from __future__ import annotations

from pathlib import Path

from apps.sentiment_monitor.headline import Problem
from apps.sentiment_monitor.sources.file import FileSource
from apps.sentiment_monitor.sources.source import Batch, States

_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".txt")


class FolderSource:
    """The files of a folder, those that come later, and what is appended to them.

    Files whose names begin with a dot are not read, so that a program can write a file under such a name first.

    Args:
        path: The folder.
        complete: Whether nobody writes to the files any more.
    """

    def __init__(self, path: Path, *, complete: bool = False) -> None:
        self.path = path
        self.name = str(path)
        self._complete = complete

    def poll(self, states: States, now: float) -> Batch:
        """Returns the next rows of the first file, by name, that has any."""
        try:
            paths = sorted(path for path in self.path.iterdir() if path.suffix.lower() in _SUFFIXES and path.is_file())
        except OSError as problem:
            return Batch(
                problems=[Problem(self.name, f"expected a folder that can be read. Received: {problem.strerror}")]
            )
        problems: list[Problem] = []
        for path in paths:
            if path.name.startswith("."):
                continue
            batch = FileSource(path, complete=self._complete).poll(states, now)
            if batch.states:
                return Batch(batch.headlines, problems + batch.problems, batch.states, more=True)
            problems += batch.problems
        return Batch(problems=problems)
