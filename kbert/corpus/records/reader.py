"""Reads TFRecord shards, plain or gzip, and finds every damage; intact records after a damage are still read.

TensorFlow's reader stops at the first damage, and with `ignore_errors` it silently drops the rest of the file. This
reader loses only the record whose data is wrong; after a wrong length it searches for the next intact record; and
in gzip files it continues at the next member (a shard that kbert wrote has a member for each chunk of text).
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
from kbert.corpus.records.gzip_members import MAGIC, PIECE, Content, Hole, Piece, members, pieces


@dataclasses.dataclass(frozen=True)
class Record:
    """An intact record.

    Args:
        number: The 0-based number of the record in the file. Lost records count as far as their number is known.
        offset: The byte offset of the record in the file; in a gzip file, that of its gzip member.
        data: The content of the record.
    """

    number: int
    offset: int
    data: bytes


@dataclasses.dataclass(frozen=True)
class Damage:
    """A damaged place in a file.

    Args:
        number: The 0-based number of the first record that may be damaged.
        offset: The byte offset of the damage in the file; in a gzip file, that of the gzip member.
        reason: A description of the damage.
        lost: The number of lost records, estimated from the file alone; None if it is unknown.
        in_member: Whether decompressed bytes of a gzip member may be wrong (see `without_copies`).
    """

    number: int
    offset: int
    reason: str
    lost: int | None
    in_member: bool = False


def read_records(
    path: str | os.PathLike[str], *, strict: bool = False, begin: int = 0, end: int | None = None, number: int = 0
) -> Iterator[Record | Damage]:
    """Yields the records and the damages of a TFRecord file in the order of the file.

    Args:
        path: A plain or gzip file; the name or the first bytes tell which.
        strict: Whether a gzip member header other than that of `join_records` is reported as damage, although it
            loses no records.
        begin: The byte offset in a plain file where reading begins.
        end: The byte offset in a plain file where reading ends; None means the end of the file.
        number: The 0-based number of the first record after `begin`.
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
    """Replaces records that repeat another record of the same damaged gzip member by damages.

    Compressed bytes refer back to earlier bytes. A wrong reference can put a copy of a whole record, including its
    checksums, in place of another record; then only the checksum of the gzip member is wrong.

    Args:
        found: The records and damages that `read_records` yields for a gzip file.
        damaged: The offsets of the damages with a true `Damage.in_member`.
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
    """Returns whether a file of records is a gzip file."""
    with open(path, "rb") as handle:
        header = handle.read(HEADER)
    return Path(path).suffix == ".gz" or (header[:3] == MAGIC and not is_header(header))


class _Stream:
    """A buffer over a stream of pieces, which can be read up to a hole or the end.

    Args:
        pieces: The pieces of the stream.
        position: The position in the stream of the first byte.
    """

    def __init__(self, pieces: Iterable[Piece], position: int) -> None:
        self._pieces = iter(pieces)
        self._buffer = bytearray()
        self._start = 0
        self._marks: deque[tuple[int, int]] = deque()  # (position in the stream, offset in the file)
        self.position = position
        """The position in the stream of the next byte."""
        self.hole: tuple[int, Hole] | None = None
        """The damage that ends the bytes read so far, or None."""
        self.notes: list[tuple[int, Hole]] = []
        """The harmless damages seen so far."""

    def __len__(self) -> int:
        return len(self._buffer) - self._start

    @property
    def offset(self) -> int:
        """The offset in the file where the piece of the next byte begins."""
        while len(self._marks) > 1 and self._marks[1][0] <= self.position:
            self._marks.popleft()
        return self._marks[0][1] if self._marks else 0

    def pull(self, wanted: int) -> bool:
        """Reads until `wanted` bytes are in the buffer; returns whether there are that many."""
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
        """Moves forward by `count` bytes, or back if `count` is negative."""
        self._start += count
        self.position += count

    def peek(self, begin: int, end: int) -> bytes:
        """Returns the buffered bytes from `begin` to `end`, counted from the next byte."""
        return bytes(self._buffer[self._start + begin : self._start + end])


def _frames(
    pieces: Iterable[Piece], *, compressed: bool, position: int = 0, number: int = 0
) -> Iterator[Record | Damage]:
    """Cuts a stream into records; after a damage it continues at the next intact record."""
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
                # The number of lost records is estimated from the size of the gap. It is 1 unless the damage is larger
                # than a record, such as a bad block of a disk.
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
    """Returns the data of the record at the stream's position, a description of its damage, or None at the end."""
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
    """Moves to the next intact record, or to the end; returns the number of bytes skipped."""
    began = stream.position
    # If only the data is wrong, the length leads to the next record.
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
    """Returns the indices in `data`, uint8 [n], where a length with its correct checksum begins."""
    count = len(data) - HEADER + 1
    # A CRC is linear: the CRC of eight bytes is the exclusive or of a table entry for each byte.
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
