"""Reads .zst files, with all their frames (extra `zstd`)."""

from __future__ import annotations

import io
from typing import Any, BinaryIO

from kbert.errors import UsageError


def open_zstd(path: str) -> BinaryIO:
    """Opens a .zst file for reading.

    Raises:
        UsageError: zstandard is not installed.
    """
    try:
        import zstandard
    except ImportError:
        raise UsageError(
            f"{path}: .zst files need zstandard, which is not installed: pip install 'kbert[zstd]'"
        ) from None
    return io.BufferedReader(_ZstdReader(path, zstandard.ZstdDecompressor(max_window_size=1 << 31)), 1 << 20)


class _ZstdReader(io.RawIOBase):
    """All frames of a .zst file; a cut frame is an error (for the reader of zstandard it is the end of the file)."""

    def __init__(self, path: str, decompressor: Any) -> None:
        self._file = open(path, "rb")  # noqa: SIM115 (close() closes it)
        self._decompressor = decompressor
        self._frame: Any = None
        self._compressed = b""
        self._data = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._data:
            # Small pieces, since a few compressed bytes can hold very many.
            self._compressed = self._compressed or self._file.read(1 << 14)
            if not self._compressed:
                if self._frame is not None:
                    raise EOFError("the file ends within a frame")
                return 0
            self._frame = self._frame or self._decompressor.decompressobj()
            self._data = memoryview(self._frame.decompress(self._compressed))
            self._compressed = self._frame.unused_data if self._frame.eof else b""
            if self._frame.eof:
                self._frame = None
        size = min(len(buffer), len(self._data))
        buffer[:size] = self._data[:size]
        self._data = self._data[size:]
        return size

    def close(self) -> None:
        self._file.close()
        super().close()
