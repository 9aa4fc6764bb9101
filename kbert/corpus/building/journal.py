"""Records the progress of a build, so that the same command can continue an interrupted build."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kbert import files
from kbert.corpus.records.manifest import Shard
from kbert.errors import UsageError

FILE_NAME = "unfinished.jsonl"


@dataclasses.dataclass(frozen=True)
class FinishedShard:
    """A line of the journal.

    Args:
        shard: The shard, which is on disk.
        chunks: The number of chunks in the shard.
        counts: The counts of the chunks (see `Manifest.counts`), summed.
    """

    shard: Shard
    chunks: int
    counts: dict[str, int]


class Journal:
    """A file of JSON lines: first the identity of the build, then each shard, added when the shard is on disk.

    Args:
        folder: The output folder.
        identity: Everything that the records depend on, as JSON values.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        self.path = folder / FILE_NAME
        self.identity = json.loads(json.dumps(identity))

    def start(self) -> None:
        """Begins a new journal."""
        files.write_text(self.path, json.dumps({"build": self.identity}) + "\n")

    def shards(self) -> list[FinishedShard]:
        """Returns the finished shards; an incomplete last line, as a killed process leaves it, does not count."""
        return [
            FinishedShard(Shard(**line["shard"]), line["chunks"], line["counts"]) for line in _read_lines(self.path)[1:]
        ]

    def resume(self) -> list[FinishedShard]:
        """Returns the finished shards, and removes an incomplete last line so that more can be added.

        Raises:
            UsageError: The build was started with other settings or inputs.
        """
        lines = _read_lines(self.path)
        check_same(self.path.parent, lines[0]["build"], self.identity)
        finished = self.shards()
        files.write_text(self.path, "".join(json.dumps(line) + "\n" for line in lines))
        return finished

    def add(self, finished: FinishedShard) -> None:
        """Adds a shard that is on disk."""
        with open(self.path, "a", encoding="utf-8") as handle:
            handle.write(json.dumps(dataclasses.asdict(finished)) + "\n")
            handle.flush()
            os.fsync(handle.fileno())

    def remove(self) -> None:
        """Deletes the journal when the corpus is finished."""
        self.path.unlink(missing_ok=True)


def finished_shards(folder: Path) -> int:
    """Returns the number of shards that the unfinished build in a folder has finished."""
    return max(0, len(_read_lines(folder / FILE_NAME)) - 1)


def check_same(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any], name: str = "") -> None:
    """Checks that a build is resumed with the same settings.

    Args:
        folder: The output folder, for the error message.
        before: The settings that the build was started with.
        now: The settings of this call.
        name: The key of these settings in the settings that contain them, for the error message.

    Raises:
        UsageError: A setting differs. The message names the first one.
    """
    for key in (*now, *before):
        old, new = before.get(key), now.get(key)
        label = f"{name}.{key}" if name else key
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            check_same(folder, old, new, label)
        elif old != new:
            raise UsageError(
                f"{folder} was started with {label}={old!r}. Received: {label}={new!r}; resume with the same, "
                "or choose another --output"
            )


def _read_lines(path: Path) -> list[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    lines = []
    for line in text.splitlines(keepends=True):
        try:
            lines.append(json.loads(line))
        except ValueError:
            break
        if not line.endswith("\n"):
            lines.pop()
    return lines
