"""Reads TFRecord shards, plain or gzip, and finds every damage: what can be read behind one is still read.

TensorFlow's reader ends at the first damage, and its `ignore_errors` drops the rest of the file without a word. Here
a record of wrong bytes costs that record; a wrong length costs the search for the next record that is whole; and
inside gzip the search goes on at the next member (a shard of kbert's has a member for each chunk of text).
"""

from __future__ import annotations

import dataclasses
import functools
import os
import struct
from collections import deque
from collections.abc import Container, Iterable, Iterator
from pathlib import Path

import google_crc32c
import numpy as np

from kbert.corpus.records.frames import FOOTER, HEADER, MASK_DELTA, is_header, masked_crc
from kbert.corpus.records.gzip_members import MAGIC, PIECE, Break, Content, Piece, members, pieces


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
        data = Content(handle)
        if is_compressed(path):
            yield from _frames(members(data, strict), compressed=True)
        else:
            content = pieces(data, begin, len(data) if end is None else end)
            yield from _frames(content, compressed=False, position=begin, number=number)


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
        header = handle.read(HEADER)
    return Path(path).suffix == ".gz" or (header[:3] == MAGIC and not is_header(header))


class _Stream:
    """Bytes of a stream of pieces, as many as are asked for, up to a hole or the end."""

    def __init__(self, pieces: Iterable[Piece], position: int) -> None:
        self._pieces = iter(pieces)
        self._buffer = bytearray()
        self._start = 0
        self._marks: deque[tuple[int, int]] = deque()  # a place in the stream, and where in the file that lies
        self.position = position
        """In the stream, of the next byte."""
        self.hole: tuple[int, Break] | None = None
        """What ends the bytes, unless the file does."""
        self.notes: list[tuple[int, Break]] = []
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
                if self._start > PIECE:
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
    pieces: Iterable[Piece], *, compressed: bool, position: int = 0, number: int = 0
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
            stream.move(HEADER + len(found) + FOOTER)
            size += HEADER + len(found) + FOOTER
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
    if not stream.pull(HEADER):
        if len(stream) == 0:
            return None
        return "the file ends within a record" if stream.hole is None else stream.hole[1].reason
    header = stream.peek(0, HEADER)
    if not is_header(header):
        return "the checksum of a record's length is wrong"
    (length,) = struct.unpack("<Q", header[:8])
    if not stream.pull(HEADER + length + FOOTER):
        return "the file ends within a record" if stream.hole is None else stream.hole[1].reason
    data = stream.peek(HEADER, HEADER + length)
    if stream.peek(HEADER + length, HEADER + length + FOOTER) != masked_crc(data):
        return "the checksum of a record's data is wrong"
    return data


def _skip_damage(stream: _Stream) -> int:
    """Goes on to the next record that is whole, or to the end; gives the bytes between."""
    began = stream.position
    # The length may be right where the data is wrong: then the next record follows it.
    header = stream.peek(0, HEADER)
    if len(header) == HEADER and is_header(header):
        size = HEADER + struct.unpack("<Q", header[:8])[0] + FOOTER
        if stream.pull(size + HEADER):
            if is_header(stream.peek(size, size + HEADER)):
                stream.move(size)
                return size
        elif len(stream) == size:
            stream.move(size)
            return size
    stream.move(1)
    while stream.pull(HEADER):
        stream.pull(PIECE)
        window = np.frombuffer(stream.peek(0, PIECE), np.uint8)
        for place in _length_places(window).tolist():
            stream.move(place)
            if isinstance(_whole_frame(stream), bytes):
                return stream.position - began
            stream.move(-place)
        stream.move(len(window) - HEADER + 1)
    stream.move(len(stream))
    return stream.position - began


def _length_places(data: np.ndarray) -> np.ndarray:
    """Where in uint8 [n] a length with its right checksum begins."""
    count = len(data) - HEADER + 1
    # A CRC is linear: that of eight bytes is the sum (exclusive or) of a table entry for each byte.
    tables, constant = _crc_tables()
    crc = np.full(count, constant, np.uint32)
    for place in range(8):
        crc ^= tables[place][data[place : place + count]]
    masked = ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(MASK_DELTA)
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
