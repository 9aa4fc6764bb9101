"""Removes what comes again, exactly, in bounded memory.

A first pass writes an 8-byte hash of each document or line to a temporary file without a name. The file is then read
once for each share of the hashes that fits into memory, which marks all but the first of equal ones in a second
such file, a byte each. The second pass over the text leaves out what is marked. So disk takes 9 bytes a document or
line, and memory at most some 200 MB however many there are. Two different texts have the same hash with
probability n² / 2^65: one in 3,700 for a hundred million lines.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from typing import IO

import numpy as np

from kbert.sources.document import Document

_HELD = 1 << 21
"""Hashes of a share, aimed at."""
_BLOCK = 1 << 20
"""Hashes read, and marks kept, at once."""

Read = Callable[[Counter[str]], Iterator[Document]]
"""Goes through all documents from the start, counting what it leaves out."""


def drop_duplicate_documents(read: Read, counts: Counter[str]) -> Iterator[Document]:
    """Streams documents, only the first of those with the same lines; `counts` tells of duplicate_documents."""
    counts["duplicate_documents"] = 0
    with _temporary() as hashes, _temporary() as marks:
        for document in read(Counter()):
            hashes.write(_hash("\n".join(document.lines)))
        _mark_duplicates(hashes, marks)
        for document, repeated in zip(read(counts), _read_marks(marks), strict=False):
            if repeated:
                counts["duplicate_documents"] += 1
            else:
                yield document


def drop_duplicate_lines(read: Read, counts: Counter[str]) -> Iterator[Document]:
    """Streams documents without lines that stood before in any; a document of none else is left out.

    `counts` tells of duplicate_lines.
    """
    counts["duplicate_lines"] = 0
    with _temporary() as hashes, _temporary() as marks:
        for document in read(Counter()):
            hashes.write(b"".join([_hash(line) for line in document.lines]))
        _mark_duplicates(hashes, marks)
        repeated = _read_marks(marks)
        for document in read(counts):
            lines = tuple(line for line in document.lines if not next(repeated))
            if len(lines) < len(document.lines):
                counts["duplicate_lines"] += len(document.lines) - len(lines)
                size = sum(len(line.encode("utf-8")) + 1 for line in lines)
                document = Document(lines, document.path, document.line, size)
            if lines:
                yield document


def _temporary() -> IO[bytes]:
    """A file that is gone when it is closed, or when the process dies; TMPDIR says where."""
    return tempfile.TemporaryFile(buffering=1 << 20)


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8"), digest_size=8).digest()


def _mark_duplicates(hashes: IO[bytes], marks: IO[bytes]) -> None:
    """Writes a byte for each hash: 1 if an equal one stands before it, else 0."""
    hashes.flush()
    total = hashes.tell() // 8
    marks.truncate(total)
    if not total:
        return
    marked = np.memmap(marks, np.uint8, "r+", shape=(total,))
    shares = -(-total // _HELD)
    for share in range(shares):
        keys = np.zeros(0, np.uint64)
        places = np.zeros(0, np.int64)
        hashes.seek(0)
        for start in range(0, total, _BLOCK):
            block = np.frombuffer(hashes.read(8 * _BLOCK), np.uint64)
            mine = np.arange(len(block)) if shares == 1 else np.flatnonzero(block % np.uint64(shares) == share)
            keys = np.concatenate([keys, block[mine]])
            places = np.concatenate([places, mine + start])
            # A hash that is met again and again must not pile up.
            if len(keys) > 2 * _HELD or start + _BLOCK >= total:
                keys, places, repeated = _first_of_each(keys, places)
                marked[repeated] = 1
    marked.flush()


def _first_of_each(keys: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The distinct keys with their first places, and the places of all others; `places` rise for equal keys."""
    order = np.argsort(keys, kind="stable")
    keys, places = keys[order], places[order]
    is_first = np.ones(len(keys), bool)
    is_first[1:] = keys[1:] != keys[:-1]
    return keys[is_first], places[is_first], places[~is_first]


def _read_marks(marks: IO[bytes]) -> Iterator[int]:
    marks.seek(0)
    while block := marks.read(_BLOCK):
        yield from block
