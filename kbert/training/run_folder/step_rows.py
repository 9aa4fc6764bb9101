"""A file of JSON lines, each with the step that it is of: what a stopped run wrote too far ahead is dropped."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kbert import files


class StepRows:
    """Rows of a run.

    Args:
        path: The file; made with its first row.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, row: Mapping[str, Any]) -> None:
        """Adds a row, which has "step"."""
        with open(self.path, "a", encoding="utf-8") as rows:
            rows.write(json.dumps(row) + "\n")

    def drop_after(self, step: int) -> None:
        """Drops the rows of later steps, and one that a kill cut short."""
        if self.path.exists():
            kept = [json.dumps(row) + "\n" for row in read_rows(self.path) if row["step"] <= step]
            files.write_text(self.path, "".join(kept))


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The whole rows of a file; none where there is no file. A row that is being written, or was cut short by a kill,
    cannot be read: it is of a step to come.
    """  # noqa: D205 (one sentence)
    rows = []
    if path.exists():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                row = json.loads(line)
                row["step"] + 0
                rows.append(row)
    return rows
