"""Paths, and the files that a user's paths, globs and folders name."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from kbert.errors import UsageError

PathLike = str | os.PathLike[str]


def expand_inputs(inputs: Sequence[PathLike]) -> list[Path]:
    """Lists the files that paths, globs and folders name: sorted within each, hidden files left out.

    A glob that names folders alone stands for the files in them.

    Raises:
        UsageError: An input names no file.
    """
    files: list[Path] = []
    for item in inputs:
        path = Path(item)
        if path.is_dir():
            found = _files_in(path)
        elif path.exists():
            found = [path]
        else:
            matches = sorted(Path(p) for p in glob.glob(os.fspath(item), recursive=True))
            found = [match for match in matches if match.is_file()]
            if not found:  # folders alone
                found = list(dict.fromkeys(file for match in matches for file in _files_in(match)))
        if not found and path.is_dir():
            raise UsageError(f"expected a folder with files. Received one without, hidden ones aside: {item}")
        if not found:
            raise UsageError(f"no such file: expected a text file, a folder or a glob. Received: {item}")
        files.extend(found)
    return files


def _files_in(folder: Path) -> list[Path]:
    """All files below a folder, sorted; hidden ones, and those in hidden folders, left out."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
