"""Reads gzip files of many members: each member is decompressed by itself, so that damage does not hide later members.

A shard that kbert wrote has a member for each chunk of text. The records that zlib returns from a damaged member before
it finds the damage are kept.
"""

from __future__ import annotations

import dataclasses
import os
import re
import struct
import zlib
from collections.abc import Generator, Iterator
from typing import BinaryIO

from kbert.corpus.records.frames import HEADER, is_header

MAGIC = b"\x1f\x8b\x08"
"""The first bytes of a gzip member."""
PIECE = 1 << 20
"""The maximum number of bytes in a piece."""
_PEEK = 1 << 16
_OWN_BEGIN = b"\x1f\x8b\x08\0\0\0\0\0"
_OWN_SIZE = 10
_OWN_HEADER = re.compile(re.escape(_OWN_BEGIN) + rb"[\0\x02\x04][\x03\xff]", re.DOTALL)
"""The member header that `join_records` writes: no flags, no time, then Python's values for level and system."""


@dataclasses.dataclass(frozen=True)
class Hole:
    """A damage in the stream of decompressed bytes.

    Args:
        reason: A description of the damage.
        harmless: Whether only the gzip container is damaged, so that no decompressed bytes are missing here.
        in_member: Whether decompressed bytes of the member may be wrong.
    """

    reason: str
    harmless: bool = False
    in_member: bool = True


Piece = tuple[int, bytes | Hole]
"""An offset in the file (in a gzip file, that of the member), and the next bytes of the stream or a damage."""


class Content:
    """The bytes of an open file, for slicing.

    This is not a memory map, since the process would be killed if another program truncated the mapped file.

    Args:
        handle: The open file.
    """

    def __init__(self, handle: BinaryIO) -> None:
        self._handle = handle
        self._size = os.fstat(handle.fileno()).st_size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, place: slice) -> bytes:
        begin, end, _ = place.indices(self._size)
        self._handle.seek(begin)
        return self._handle.read(max(0, end - begin))

    def find(self, wanted: bytes, begin: int) -> int:
        """Returns the next offset of `wanted` from `begin` on, or -1 if it does not occur."""
        while begin < self._size:
            place = self[begin : begin + PIECE].find(wanted)
            if place >= 0:
                return begin + place
            begin += PIECE - len(wanted) + 1
        return -1


def pieces(data: Content, begin: int, end: int) -> Iterator[Piece]:
    """Yields the bytes of a plain file from `begin` to `end` in pieces."""
    for start in range(begin, end, PIECE):
        yield start, data[start : min(start + PIECE, end)]


def members(data: Content, strict: bool) -> Iterator[Piece]:
    """Yields the decompressed bytes of the gzip members of a file; after a damaged member, it continues at the next.

    Args:
        data: The file.
        strict: Whether a member header other than that of `join_records` is reported as harmless damage.
    """
    place: int | None = 0
    while place is not None and place < len(data):
        body = _member_body(data, place)
        if body is None:
            if data[place : place + PIECE].strip(b"\0"):  # gzip allows zeros after the last member
                yield place, Hole("no gzip member begins where one should")
            place = _find_member(data, place + 1)
            continue
        if strict and not _OWN_HEADER.fullmatch(data[place:body]):
            yield place, Hole("the header of a gzip member was changed", harmless=True, in_member=False)
        place = yield from _member(data, place, body)


def _member(data: Content, place: int, body: int) -> Generator[Piece, None, int | None]:
    """Yields the decompressed bytes of a member; returns the offset of the next member, or None if there is none."""
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    crc = size = 0
    end, waiting = body, b""
    while not inflate.eof:
        if not waiting:
            waiting = data[end : end + _PEEK]
            end += len(waiting)
            if not waiting:
                yield place, Hole("the file ends within a gzip member")
                return _find_member(data, place + 1)
        try:
            piece = inflate.decompress(waiting, PIECE)
        except zlib.error:
            yield place, Hole("a gzip member cannot be decompressed")
            return _find_member(data, place + 1)
        waiting = inflate.unconsumed_tail
        crc, size = zlib.crc32(piece, crc), size + len(piece)
        yield place, piece
    end -= len(inflate.unused_data)
    trailer = data[end : end + 8]
    if trailer != struct.pack("<II", crc, size & 0xFFFFFFFF):
        yield place, Hole("the checksum of a gzip member is wrong", harmless=True)
        if end + 8 < len(data) and _member_body(data, end + 8) is None:
            yield place, Hole("a gzip member ends too early")
            return _find_member(data, place + 1)
    return end + 8


def _member_body(data: Content, place: int, *, scanning: bool = False) -> int | None:
    """Returns the offset of the compressed bytes of the member at `place`, or None if there is no member.

    Unless `scanning`, a member is expected at `place`: then a damaged header is accepted if an intact record follows.
    """
    if data[place : place + 8] == _OWN_BEGIN:
        return place + _OWN_SIZE
    bodies = [_after_header(data, place)]
    if not scanning:
        bodies.append(place + _OWN_SIZE)
    return next((body for body in bodies if body is not None and _begins_with_record(data, body)), None)


def _after_header(data: Content, place: int) -> int | None:
    """Returns the offset where the header of a member ends (RFC 1952, section 2.3), or None if it is not a header."""
    header = data[place : place + 10]
    if len(header) < 10 or header[:3] != MAGIC or header[3] & 0xE0:
        return None
    flags, end = header[3], place + 10
    if flags & 4:
        end += 2 + int.from_bytes(data[end : end + 2], "little")
    for bit in (8, 16):
        if flags & bit:
            end = data.find(b"\0", end) + 1
            if not end:
                return None
    return end + (2 if flags & 2 else 0)


def _begins_with_record(data: Content, body: int) -> bool:
    try:
        return is_header(zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[body : body + _PEEK], HEADER))
    except zlib.error:
        return False


def _find_member(data: Content, place: int) -> int | None:
    """Returns the next offset of a readable gzip member, or None if there is none."""
    while (place := data.find(MAGIC, place)) >= 0:
        if _member_body(data, place, scanning=True) is not None:
            return place
        place += 1
    return None
