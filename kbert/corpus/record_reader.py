"""Reads TFRecord shards, plain or gzip, and finds every damage: what can be read behind one is still read.

TensorFlow's reader ends at the first damage, and its `ignore_errors` drops the rest of the file without a word. Here
a record of wrong bytes costs that record; a wrong length costs the search for the next record that is whole; and
inside gzip the search goes on at the next member (a shard of kbert's has a member for each chunk of text).
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import re
import struct
import zlib
from collections import deque
from collections.abc import Container, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import google_crc32c
import numpy as np

_HEADER, _FOOTER = 12, 4
"""Bytes before and after the data of a TFRecord: length and its checksum; the checksum of the data."""
_MEMBER_MAGIC = b"\x1f\x8b\x08"
_OWN_BEGIN = b"\x1f\x8b\x08\0\0\0\0\0"
_OWN_SIZE = 10
_OWN_HEADER = re.compile(re.escape(_OWN_BEGIN) + rb"[\0\x02\x04][\x03\xff]", re.DOTALL)
"""How `records.join_records` begins members: no flags, no time; then what Python writes for level and system."""
_PIECE = 1 << 20
_PEEK = 1 << 16
_MASK_DELTA = 0xA282EAD8


@dataclasses.dataclass(frozen=True)
class Record:
    """A whole record.

    Args:
        number: Its 0-based place among the records of the file, lost ones included as far as they could be told apart.
        offset: The byte of the file where it begins; in a gzip file, where its gzip member does.
        data: Its content.
    """

    number: int
    offset: int
    data: bytes


@dataclasses.dataclass(frozen=True)
class Damage:
    """A place that cannot be read.

    Args:
        number: The 0-based number of the first record that it can concern.
        offset: The byte of the file; in a gzip file, where the gzip member begins.
        reason: What is wrong.
        lost: How many records it costs, as far as the file itself can tell; None if it cannot tell.
        in_member: Whether decompressed bytes may be wrong (see `without_copies`).
    """

    number: int
    offset: int
    reason: str
    lost: int | None
    in_member: bool = False


def read_records(
    path: str | os.PathLike[str], *, strict: bool = False, begin: int = 0, end: int | None = None, number: int = 0
) -> Iterator[Record | Damage]:
    """Yields the records of a TFRecord file, and each damage where it lies.

    Args:
        path: A plain or gzip file; which of them, its name or its first bytes say.
        strict: Gzip members must begin as `records.join_records` writes them, so that a changed byte in a
            member's header is damage too, though it costs nothing.
        begin: The byte of a plain file to begin at.
        end: The byte of a plain file to end before.
        number: The number of the first record there.
    """
    if os.path.getsize(path) == 0:
        return
    with open(path, "rb") as handle:
        data = _Content(handle)
        if is_compressed(path):
            yield from _frames(_members(data, strict), compressed=True)
        else:
            pieces = _pieces(data, begin, len(data) if end is None else end)
            yield from _frames(pieces, compressed=False, position=begin, number=number)


def without_copies(found: Iterable[Record | Damage], damaged: Container[int]) -> Iterator[Record | Damage]:
    """Takes records out that repeat another one of the same gzip member, if that is damaged.

    Compressed bytes refer back to bytes before them. A wrong reference can copy a whole record in place of another,
    checksums and all; the checksum of the member alone is wrong then.

    Args:
        found: What `read_records` yields of a gzip file.
        damaged: The offsets of members that `Damage.in_member` is true of.
    """
    member, seen = -1, set[bytes]()
    for item in found:
        if isinstance(item, Record) and item.offset in damaged:
            if item.offset != member:
                member, seen = item.offset, set()
            if item.data in seen:
                yield Damage(item.number, item.offset, "a record repeats another of a damaged gzip member", 1, True)
                continue
            seen.add(item.data)
        yield item


def is_compressed(path: str | os.PathLike[str]) -> bool:
    """Whether a file of records is a gzip file."""
    with open(path, "rb") as handle:
        header = handle.read(_HEADER)
    return Path(path).suffix == ".gz" or (header[:3] == _MEMBER_MAGIC and not _is_length(header))


@dataclasses.dataclass(frozen=True)
class _Break:
    """The stream has a hole here, or only its container is damaged (`harmless`)."""

    reason: str
    harmless: bool = False
    in_member: bool = True


_Piece = tuple[int, bytes | _Break]
"""The next bytes of a stream, or what is wrong with it, and where in the file they lie: in a gzip file, the member."""


# === Frames ===


class _Stream:
    """Bytes of a stream of pieces, as many as are asked for, up to a hole or the end."""

    def __init__(self, pieces: Iterable[_Piece], position: int) -> None:
        self._pieces = iter(pieces)
        self._buffer = bytearray()
        self._start = 0
        self._marks: deque[tuple[int, int]] = deque()  # a place in the stream, and where in the file that lies
        self.position = position
        """In the stream, of the next byte."""
        self.hole: tuple[int, _Break] | None = None
        """What ends the bytes, unless the file does."""
        self.notes: list[tuple[int, _Break]] = []
        """Of harmless damage."""

    def __len__(self) -> int:
        return len(self._buffer) - self._start

    @property
    def offset(self) -> int:
        """Where in the file the piece of the next byte begins."""
        while len(self._marks) > 1 and self._marks[1][0] <= self.position:
            self._marks.popleft()
        return self._marks[0][1] if self._marks else 0

    def pull(self, wanted: int) -> bool:
        """Tries to have `wanted` bytes; says whether it has them."""
        while len(self) < wanted and self.hole is None:
            offset, piece = next(self._pieces, (0, None))
            if piece is None:
                break
            if isinstance(piece, bytes):
                if self._start > _PIECE:
                    del self._buffer[: self._start]
                    self._start = 0
                if not self._marks or self._marks[-1][1] != offset:
                    self._marks.append((self.position + len(self), offset))
                self._buffer += piece
            elif piece.harmless:
                self.notes.append((offset, piece))
            else:
                self.hole = offset, piece
        return len(self) >= wanted

    def move(self, count: int) -> None:
        """Goes on by `count` bytes, or back."""
        self._start += count
        self.position += count

    def peek(self, begin: int, end: int) -> bytes:
        """Bytes from `begin` to `end`, counted from the next one."""
        return bytes(self._buffer[self._start + begin : self._start + end])


def _frames(
    pieces: Iterable[_Piece], *, compressed: bool, position: int = 0, number: int = 0
) -> Iterator[Record | Damage]:
    """Cuts a stream into records; behind a damage it goes on at the next record that is whole."""
    stream = _Stream(pieces, position)
    read = size = 0
    while True:
        found = _whole_frame(stream)
        for offset, note in stream.notes:
            yield Damage(number, offset, note.reason, 0, note.in_member)
        stream.notes.clear()
        offset = stream.offset if compressed else stream.position
        if isinstance(found, bytes):
            yield Record(number, offset, found)
            stream.move(_HEADER + len(found) + _FOOTER)
            size += _HEADER + len(found) + _FOOTER
            number += 1
            read += 1
        elif found is not None:
            gap = _skip_damage(stream)
            if len(stream) or stream.hole is None:
                # About as many records as the gap is long: one, but where a whole block of a disk is wrong.
                lost = max(1, round(gap * read / size)) if read else 1
                yield Damage(number, offset, found, lost, compressed)
                number += lost
        elif stream.hole is not None:
            offset, hole = stream.hole
            yield Damage(number, offset, hole.reason, None, hole.in_member)
            stream.hole = None
        else:
            return


def _whole_frame(stream: _Stream) -> bytes | str | None:
    """The data of the record at the stream's place, or what is wrong with it; None at the end."""
    if not stream.pull(_HEADER):
        if len(stream) == 0:
            return None
        return "the file ends within a record" if stream.hole is None else stream.hole[1].reason
    header = stream.peek(0, _HEADER)
    if not _is_length(header):
        return "the checksum of a record's length is wrong"
    (length,) = struct.unpack("<Q", header[:8])
    if not stream.pull(_HEADER + length + _FOOTER):
        return "the file ends within a record" if stream.hole is None else stream.hole[1].reason
    data = stream.peek(_HEADER, _HEADER + length)
    if stream.peek(_HEADER + length, _HEADER + length + _FOOTER) != _masked_crc(data):
        return "the checksum of a record's data is wrong"
    return data


def _skip_damage(stream: _Stream) -> int:
    """Goes on to the next record that is whole, or to the end; gives the bytes between."""
    began = stream.position
    # The length may be right where the data is wrong: then the next record follows it.
    header = stream.peek(0, _HEADER)
    if len(header) == _HEADER and _is_length(header):
        size = _HEADER + struct.unpack("<Q", header[:8])[0] + _FOOTER
        if stream.pull(size + _HEADER):
            if _is_length(stream.peek(size, size + _HEADER)):
                stream.move(size)
                return size
        elif len(stream) == size:
            stream.move(size)
            return size
    stream.move(1)
    while stream.pull(_HEADER):
        stream.pull(_PIECE)
        window = np.frombuffer(stream.peek(0, _PIECE), np.uint8)
        for place in _length_places(window).tolist():
            stream.move(place)
            if isinstance(_whole_frame(stream), bytes):
                return stream.position - began
            stream.move(-place)
        stream.move(len(window) - _HEADER + 1)
    stream.move(len(stream))
    return stream.position - began


def _length_places(data: np.ndarray) -> np.ndarray:
    """Where in uint8 [n] a length with its right checksum begins."""
    count = len(data) - _HEADER + 1
    # A CRC is linear: that of eight bytes is the sum (exclusive or) of a table entry for each byte.
    tables, constant = _crc_tables()
    crc = np.full(count, constant, np.uint32)
    for place in range(8):
        crc ^= tables[place][data[place : place + count]]
    masked = ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(_MASK_DELTA)
    stored = np.zeros(count, np.uint32)
    for place in range(4):
        stored |= data[8 + place : 8 + place + count].astype(np.uint32) << np.uint32(8 * place)
    return np.flatnonzero(masked == stored)


@functools.cache
def _crc_tables() -> tuple[np.ndarray, np.uint32]:
    constant = google_crc32c.value(bytes(8))
    tables = np.zeros((8, 256), np.uint32)
    for place in range(8):
        for value in range(256):
            word = bytearray(8)
            word[place] = value
            tables[place, value] = google_crc32c.value(bytes(word)) ^ constant
    return tables, np.uint32(constant)


def _is_length(header: bytes) -> bool:
    return len(header) == _HEADER and header[8:] == _masked_crc(header[:8])


def _masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF)


# === Pieces of files ===


class _Content:
    """The bytes of a file, to be sliced.

    Not a memory map: that ends the program when the file is cut short meanwhile.
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
        """Where `wanted` comes next, -1 for nowhere."""
        while begin < self._size:
            place = self[begin : begin + _PIECE].find(wanted)
            if place >= 0:
                return begin + place
            begin += _PIECE - len(wanted) + 1
        return -1


def _pieces(data: _Content, begin: int, end: int) -> Iterator[_Piece]:
    for start in range(begin, end, _PIECE):
        yield start, data[start : min(start + _PIECE, end)]


def _members(data: _Content, strict: bool) -> Iterator[_Piece]:
    """The decompressed bytes of joined gzip members; behind a damaged one it goes on at the next."""
    place: int | None = 0
    while place is not None and place < len(data):
        body = _member_body(data, place)
        if body is None:
            if data[place : place + _PIECE].strip(b"\0"):  # gzip allows zeros behind the last member
                yield place, _Break("no gzip member begins where one should")
            place = _find_member(data, place + 1)
            continue
        if strict and not _OWN_HEADER.fullmatch(data[place:body]):
            yield place, _Break("the header of a gzip member was changed", harmless=True, in_member=False)
        place = yield from _member(data, place, body)


def _member(data: _Content, place: int, body: int) -> Generator[_Piece, None, int | None]:
    """The bytes of one member; returns where the next begins, None for nowhere."""
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    crc = size = 0
    end, waiting = body, b""
    while not inflate.eof:
        if not waiting:
            waiting = data[end : end + _PEEK]
            end += len(waiting)
            if not waiting:
                yield place, _Break("the file ends within a gzip member")
                return _find_member(data, place + 1)
        before = inflate.copy()
        try:
            piece = inflate.decompress(waiting, _PIECE)
        except zlib.error:
            yield place, _inflate_slowly(before, waiting)
            yield place, _Break("a gzip member cannot be decompressed")
            return _find_member(data, place + 1)
        waiting = inflate.unconsumed_tail
        crc, size = zlib.crc32(piece, crc), size + len(piece)
        yield place, piece
    end -= len(inflate.unused_data)
    trailer = data[end : end + 8]
    if trailer != struct.pack("<II", crc, size & 0xFFFFFFFF):
        yield place, _Break("the checksum of a gzip member is wrong", harmless=True)
        if end + 8 < len(data) and _member_body(data, end + 8) is None:
            yield place, _Break("a gzip member ends too early")
            return _find_member(data, place + 1)
    return end + 8


def _inflate_slowly(inflate: Any, compressed: bytes, most: int | None = None) -> bytes:
    """What comes before a damage: zlib gives nothing of a piece in which it finds one."""
    parts, size = [], 0
    with contextlib.suppress(zlib.error):
        for byte in compressed:
            parts.append(inflate.decompress(bytes([byte])))
            size += len(parts[-1])
            if most is not None and size >= most:
                break
    return b"".join(parts)


def _member_body(data: _Content, place: int, *, scanning: bool = False) -> int | None:
    """Where the compressed bytes of the member at `place` begin; None if there is none.

    Unless `scanning`, a member is expected here: then its header may be damaged, if what follows is not.
    """
    if data[place : place + 8] == _OWN_BEGIN:
        return place + _OWN_SIZE
    bodies = [_after_header(data, place)]
    if not scanning:
        bodies.append(place + _OWN_SIZE)
    return next((body for body in bodies if body is not None and _begins_with_record(data, body)), None)


def _after_header(data: _Content, place: int) -> int | None:
    """Where the member's header ends (RFC 1952, section 2.3)."""
    header = data[place : place + 10]
    if len(header) < 10 or header[:3] != _MEMBER_MAGIC or header[3] & 0xE0:
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


def _begins_with_record(data: _Content, body: int) -> bool:
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    return _is_length(_inflate_slowly(inflate, data[body : body + _PEEK], _HEADER)[:_HEADER])


def _find_member(data: _Content, place: int) -> int | None:
    """The next place from which a gzip member can be read."""
    while (place := data.find(_MEMBER_MAGIC, place)) >= 0:
        if _member_body(data, place, scanning=True) is not None:
            return place
        place += 1
    return None
