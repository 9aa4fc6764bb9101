"""The folders that hold models and versions."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from kbert.serving.served_models.model_config import ModelConfig
from kbert.serving.served_models.saved_model_file import has_graph

LAYOUT = "NAME/VERSION/saved_model.pb, which kbert export writes"
_VERSION = re.compile(r"[0-9]{1,19}")
_LARGEST = 2**63 - 1


def found_models(folder: Path, *, is_one_model: bool) -> list[ModelConfig]:
    """Returns the models that a folder holds now, by name.

    Args:
        folder: The folder that holds NAME/VERSION, or the folder NAME.
        is_one_model: Whether it is a folder NAME.

    Raises:
        OSError: The folder cannot be read.
    """
    if is_one_model:
        return [ModelConfig(folder.name, folder)] if version_folders(folder) else []
    found = []
    with os.scandir(folder) as entries:
        # Unfinished exports have hidden names; unfinished copies of other tools often end in .part.
        names = sorted(
            entry.name
            for entry in entries
            if entry.is_dir() and not entry.name.startswith(".") and not entry.name.endswith(".part")
        )
    for name in names:
        # A folder without read permission (such as lost+found), or one that is just removed, is not a model.
        with contextlib.suppress(PermissionError, FileNotFoundError):
            if version_folders(folder / name):
                found.append(ModelConfig(name, folder / name))
    return found


def is_model_folder(folder: Path) -> bool:
    """Returns whether a folder holds versions of one model.

    Raises:
        OSError: The folder cannot be read.
    """
    return any(has_graph(path) for path in version_folders(folder).values())


def version_folders(folder: Path) -> dict[int, Path]:
    """Returns the folders of all versions: those whose names are whole numbers.

    Raises:
        OSError: The folder cannot be read.
    """
    with os.scandir(folder) as entries:
        return {
            int(entry.name): Path(entry.path)
            for entry in entries
            if _VERSION.fullmatch(entry.name) and int(entry.name) <= _LARGEST and entry.is_dir()
        }


def file_stamps(folder: Path) -> frozenset[tuple[str, int, int]]:
    """Returns the files below a folder with their sizes and times, which differ if the content differs.

    A file that is just removed, or a link without a target, has the size -1.
    """
    stamps = []
    for path in folder.rglob("*"):
        try:
            status = path.stat()
            stamps.append((os.fspath(path), status.st_size, status.st_mtime_ns))
        except OSError:
            stamps.append((os.fspath(path), -1, 0))
    return frozenset(stamps)
