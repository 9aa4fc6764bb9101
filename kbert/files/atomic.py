"""Files and folders that are never half-written.

A reader sees the old content or the new content, never a part of it: everything is written beside its target, synced to
disk and renamed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from kbert.files.paths import PathLike


@contextlib.contextmanager
def atomic_path(target: PathLike) -> Iterator[Path]:
    """Gives the path of an empty file beside `target`, which replaces `target` when the block ends without exception.

    If the block raises, the temporary file is removed and `target` keeps its content. A symbolic link stays, and the
    file that it points to is replaced. A device or a pipe, such as /dev/stdout, cannot be replaced; the content is
    copied to it at the end.
    """
    target = Path(target)
    if target.exists() and not (target.is_file() or target.is_dir()):
        with _copied_to(target) as temporary:
            yield temporary
        return
    if target.is_symlink():
        target = Path(os.path.realpath(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    temporary = Path(name)
    os.close(descriptor)
    try:
        yield temporary
        with open(temporary, "rb") as handle:
            os.fsync(handle.fileno())
        # mkstemp makes the file private; this gives it the permissions of a plain open().
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
        sync_directory(target.parent)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


@contextlib.contextmanager
def _copied_to(target: Path) -> Iterator[Path]:
    """Gives the path of an empty file, whose content is copied to a device or a pipe when the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder) / "content"
        temporary.touch()
        yield temporary
        with open(temporary, "rb") as source, open(target, "wb") as handle:
            shutil.copyfileobj(source, handle)


@contextlib.contextmanager
def atomic_file(target: PathLike) -> Iterator[BinaryIO]:
    """Opens a binary file beside `target`, which replaces `target` when the block ends without an exception."""
    with atomic_path(target) as temporary, open(temporary, "wb") as handle:
        yield handle


def write_text(target: PathLike, text: str) -> None:
    """Replaces the content of `target` by `text` in UTF-8, atomically."""
    with atomic_file(target) as handle:
        handle.write(text.encode("utf-8"))


@contextlib.contextmanager
def atomic_directory(target: PathLike) -> Iterator[Path]:
    """Gives an empty folder beside `target`, which is renamed to `target` when the block ends without an exception.

    Raises:
        FileExistsError: `target` exists: a folder cannot be replaced in one step.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        raise FileExistsError(f"expected a new folder. Received: {target}, which exists; remove it, or name another")
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
    try:
        yield temporary
        for folder, _, names in os.walk(temporary):
            for name in names:
                with open(os.path.join(folder, name), "rb") as handle:
                    os.fsync(handle.fileno())
            sync_directory(folder)
        os.chmod(temporary, 0o777 & ~_umask())
        os.rename(temporary, target)
        sync_directory(target.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def sync_directory(folder: PathLike) -> None:
    """Makes a rename in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
