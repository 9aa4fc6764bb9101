"""Paths, and the files that a user's paths, globs and folders name."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from kbert.errors import UsageError

PathLike = str | os.PathLike[str]


def expand_inputs(inputs: Sequence[PathLike]) -> list[Path]:
    """Lists the files of paths, globs and folders.

    The files of each glob and folder are sorted, without hidden files. A glob that matches folders only stands for the
    files in these folders.

    Raises:
        UsageError: There is no file at an input.
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
            raise UsageError(f"expected a folder with files. Received: {item}, which has none except hidden ones")
        if not found:
            raise UsageError(f"no such file: expected a file, a folder or a glob. Received: {item}")
        files.extend(found)
    return files


def _files_in(folder: Path) -> list[Path]:
    """Returns all files below a folder, sorted, without hidden files and files in hidden folders."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
