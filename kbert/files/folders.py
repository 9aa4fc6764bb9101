"""The folder that a command makes: new, or empty."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kbert.errors import UsageError
from kbert.files.paths import PathLike


def check_new_folder(
    folder: PathLike, *, ignored: Callable[[str], object] = lambda name: False, alternative: str = ""
) -> Path:
    """Checks that a folder is missing or empty, so that nothing of somebody else's is mixed with what is written to it.

    The folder is not made: a command that fails later leaves no trace.

    Args:
        folder: The path that was given as `--output`.
        ignored: Says of a file's name whether it may stand in the folder.
        alternative: What else the message allows, such as " (or a run to --resume)".

    Returns:
        The path.

    Raises:
        UsageError: The path is a file, or a folder that holds something.
    """
    path = Path(folder)
    found = ""
    if path.is_dir():
        names = sorted(entry.name for entry in path.iterdir() if not ignored(entry.name))
        found = f"which holds {names[0]}" if names else ""
    elif path.exists():
        found = "which is a file"
    if found:
        raise UsageError(f"--output must be a new or empty folder{alternative}. Received: {path}, {found}")
    return path
