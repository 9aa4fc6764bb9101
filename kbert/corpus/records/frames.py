"""Frames TFRecords: length, checksum of the length, data, checksum of the data.

The format is described in tensorflow/core/lib/io/record_writer.h. The length is a little-endian 64-bit integer; each
checksum is a masked CRC-32C, a little-endian 32-bit integer.
"""

from __future__ import annotations

import functools
import struct

import google_crc32c

HEADER, FOOTER = 12, 4
"""The number of bytes before the data (length and its checksum) and after it (checksum of the data)."""
MASK_DELTA = 0xA282EAD8


def frame_record(data: bytes) -> bytes:
    """Returns `data` as a TFRecord with length and checksums."""
    return _frame_head(len(data)) + data + masked_crc(data)


def is_header(header: bytes) -> bool:
    """Returns whether `header` is a length with its correct checksum."""
    return len(header) == HEADER and header[8:] == masked_crc(header[:8])


def masked_crc(data: bytes) -> bytes:
    """Returns the masked CRC-32C of `data`, four bytes."""
    crc = google_crc32c.value(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + MASK_DELTA) & 0xFFFFFFFF)


@functools.lru_cache(1 << 16)
def _frame_head(size: int) -> bytes:
    length = struct.pack("<Q", size)
    return length + masked_crc(length)
