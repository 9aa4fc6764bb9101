"""The frame of a TFRecord: length, its checksum, data, its checksum (tensorflow/core/lib/io/record_writer.h).

Each checksum is a masked CRC-32C, little-endian, as is the length of eight bytes.
"""

from __future__ import annotations

import functools
import struct

import google_crc32c

HEADER, FOOTER = 12, 4
"""Bytes before and after the data: length and its checksum; the checksum of the data."""
MASK_DELTA = 0xA282EAD8


def frame_record(data: bytes) -> bytes:
    """One TFRecord: length, checksum, `data`, checksum."""
    return _frame_head(len(data)) + data + masked_crc(data)


def is_header(header: bytes) -> bool:
    """Whether this is a length with its right checksum."""
    return len(header) == HEADER and header[8:] == masked_crc(header[:8])


def masked_crc(data: bytes) -> bytes:
    """The checksum of some bytes, four bytes."""
    crc = google_crc32c.value(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + MASK_DELTA) & 0xFFFFFFFF)


@functools.lru_cache(1 << 16)
def _frame_head(size: int) -> bytes:
    length = struct.pack("<Q", size)
    return length + masked_crc(length)
