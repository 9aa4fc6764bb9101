"""Compressed files: opened by their suffix, with one error for every kind of damage."""

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
    """Whether `open_binary` decompresses a file: it goes by the suffix."""
    return Path(path).suffix.lower() in _OPENERS


def open_binary(path: PathLike) -> BinaryIO:
    """Opens a file for reading, decompressing .gz, .bz2, .xz and .zst (extra `zstd`)."""
    opener = _OPENERS.get(Path(path).suffix.lower())
    return opener(os.fspath(path)) if opener else open(path, "rb")


def read_head(path: PathLike, size: int) -> bytes:
    """The first `size` bytes of a file, decompressed.

    Raises:
        DataError: Its compressed stream is damaged.
    """
    with damage_said(path, 1), open_binary(path) as handle:
        return handle.read(size)


@contextlib.contextmanager
def damage_said(path: PathLike, line: int | None = None) -> Iterator[None]:
    """Turns what the decompressors raise into one error; what the system refuses stays as it is."""
    try:
        yield
    except (KbertError, KeyboardInterrupt, MemoryError):
        raise
    except Exception as problem:
        # zstandard's own error is known by name, since the library need not be there.
        known = isinstance(problem, EOFError | lzma.LZMAError | zlib.error | OSError)
        if not known and type(problem).__name__ != "ZstdError":
            raise
        if isinstance(problem, OSError) and problem.errno is not None:
            raise  # of the system; gzip's and bz2's own have no number
        raise DataError(f"the compressed file is damaged ({problem})", path, line) from None
