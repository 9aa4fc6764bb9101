"""A file of JSON lines, each with the number of a step; a resumed run drops the lines of later steps."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kbert import files


class StepRows:
    """A file with rows of a run, such as metrics.jsonl.

    Args:
        path: The file. The first row creates it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, row: Mapping[str, Any]) -> None:
        """Adds a row, which must have the key "step"."""
        with open(self.path, "a", encoding="utf-8") as rows:
            rows.write(json.dumps(row) + "\n")

    def drop_after(self, step: int) -> None:
        """Drops the rows of steps after `step`, and an incomplete last row that a killed process left."""
        if self.path.exists():
            kept = [json.dumps(row) + "\n" for row in read_rows(self.path) if row["step"] <= step]
            files.write_text(self.path, "".join(kept))


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Reads the complete rows of a file; returns an empty list if there is no file.

    An incomplete row is skipped: it is still being written, or a killed process left it, and a resumed run repeats its
    step.
    """
    rows = []
    if path.exists():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                row = json.loads(line)
                row["step"] + 0
                rows.append(row)
    return rows
