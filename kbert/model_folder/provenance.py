"""The file provenance.json: the digests of the files of a finished run, and of the data that it was trained with.

It holds the names of data files without their folders, and none of their content.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kbert import files
from kbert.errors import BundleError
from kbert.files import PathLike

PROVENANCE_FILE = "provenance.json"
INTACT, CHANGED, MISSING, UNKNOWN = "intact", "changed", "missing", "unknown"
"""The states of a file: UNKNOWN is that of a data file that is none of the run's."""
_FORMAT = 1


def write_provenance(
    folder: PathLike, *, command: str, data: Mapping[str, Sequence[Mapping[str, str]]], ignored: Sequence[str] = ()
) -> None:
    """Writes provenance.json.

    Args:
        folder: The folder of a finished run.
        command: The command, such as "finetune classification"; its options are in run.json.
        data: The "name" and the "sha256" of the data of each option, such as "train".
        ignored: The names of files and folders in `folder` that change later, or are no part of the result.
    """
    folder = Path(folder)
    found = {name: files.file_sha256(folder / name) for name in _names(folder, {*ignored, PROVENANCE_FILE})}
    content = {"format": _FORMAT, "command": command, "files": found, "data": {k: list(v) for k, v in data.items()}}
    files.write_json(folder / PROVENANCE_FILE, content)


def verify(run: PathLike, data: Sequence[PathLike] = ()) -> dict[str, str]:
    """Compares the files of a run with the digests in its provenance.json.

    The digests are not signed: they show damage and later changes, and not who made the files. Keep a copy of
    provenance.json elsewhere to notice that it was changed, too.

    Args:
        run: The folder of a finished run.
        data: Data files, to check whether the run was trained with exactly these.

    Returns:
        The state of each file: "intact", "changed" or "missing"; for a data file "intact" or "unknown".

    Example:
        >>> set(kbert.verify("run").values())
        {'intact'}

    Raises:
        BundleError: The folder has no provenance.json, or the file is damaged.
    """
    folder = Path(run)
    path = folder / PROVENANCE_FILE
    if not path.is_file():
        raise BundleError(
            f"expected a finished run with {PROVENANCE_FILE}. {folder} has none: it is no run, or not finished, or an "
            "earlier version of kbert made it"
        )
    content = files.read_json(path, BundleError)
    known = _known(content, path)
    states = {}
    for name, digest in known.items():
        place = folder / name
        states[name] = MISSING if not place.is_file() else INTACT if files.file_sha256(place) == digest else CHANGED
    used = {entry.get("sha256") for entries in content["data"].values() for entry in entries}
    for each in data:
        states[os.fspath(each)] = INTACT if files.file_sha256(each) in used else UNKNOWN
    return states


def _names(folder: Path, ignored: set[str]) -> list[str]:
    """Returns the files in a folder and its subfolders, relative to it, with "/" between the parts."""
    return sorted(
        "/".join(parts)
        for path in folder.rglob("*")
        if path.is_file() and not ignored.intersection(parts := path.relative_to(folder).parts)
    )


def _known(content: Any, path: Path) -> dict[str, str]:
    """Returns the digests in provenance.json.

    Raises:
        BundleError: The file is damaged, or names files outside of its folder.
    """
    known = content.get("files") if isinstance(content, dict) and content.get("format") == _FORMAT else None
    data = content.get("data") if isinstance(content, dict) else None
    if (
        not isinstance(known, dict)
        or not all(isinstance(digest, str) for digest in known.values())
        or not isinstance(data, dict)
        or not all(isinstance(each, list) and all(isinstance(entry, dict) for entry in each) for each in data.values())
    ):
        raise BundleError(f"{path}: expected the digests of files, as this version of kbert writes them")
    outside = next((name for name in known if name.startswith("/") or ".." in Path(name).parts), None)
    if outside is not None:
        raise BundleError(f"{path}: expected files in the folder of the run. Received: {outside!r:.100}")
    return known
