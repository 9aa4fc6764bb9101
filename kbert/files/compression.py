"""Compressed files: the suffix of the name says how, and every kind of damage is one error."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from kbert.errors import DataError, KbertError
from kbert.files import zstd
from kbert.files.paths import PathLike

_OPENERS: dict[str, Callable[[str], Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zst": zstd.open_zstd,
}


COMPRESSED = tuple(_OPENERS)
"""The suffixes of files that `open_binary` decompresses."""


def is_compressed(path: PathLike) -> bool:
    """Returns whether `open_binary` decompresses a file, which depends on the suffix of its name."""
    return Path(path).suffix.lower() in _OPENERS


def open_binary(path: PathLike) -> BinaryIO:
    """Opens a file for reading, decompressing .gz, .bz2, .xz and .zst (extra `zstd`)."""
    opener = _OPENERS.get(Path(path).suffix.lower())
    return opener(os.fspath(path)) if opener else open(path, "rb")


def read_head(path: PathLike, size: int) -> bytes:
    """Returns the first `size` bytes of a file, decompressed.

    Raises:
        DataError: The compressed stream is damaged.
    """
    with damage_as_error(path, 1), open_binary(path) as handle:
        return handle.read(size)


@contextlib.contextmanager
def damage_as_error(path: PathLike, line: int | None = None) -> Iterator[None]:
    """Turns the exceptions of all decompressors into DataError; errors of the operating system pass through."""
    try:
        yield
    except (KbertError, KeyboardInterrupt, MemoryError):
        raise
    except Exception as problem:
        # The exception of zstandard is told by its name, since the library is optional.
        known = isinstance(problem, EOFError | lzma.LZMAError | zlib.error | OSError)
        if not known and type(problem).__name__ != "ZstdError":
            raise
        if isinstance(problem, OSError) and problem.errno is not None:
            raise  # errors of the operating system have a number, those of gzip and bz2 have none
        raise DataError(
            f"the compressed file is damaged ({problem}); copy or download it again",
            path,
            line,
        ) from None
