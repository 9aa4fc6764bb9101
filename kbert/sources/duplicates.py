"""Removes exact duplicates of documents or lines, in bounded memory.

A first pass over the text writes an 8-byte hash of each document or line to an unnamed temporary file. The hashes are
divided into shares that fit into memory. For each share, the file is read once, and all but the first of equal hashes
are marked in a second temporary file of one byte per hash. The second pass over the text leaves out what is marked. So
this takes 9 bytes of disk space per document or line, and at most some 200 MB of memory. The probability that any two
different texts of n have the same hash is n² / 2^65: one in 3,700 for a hundred million lines.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import IO

import numpy as np

from kbert.sources.document import Document

_HELD = 1 << 21
"""The approximate number of hashes in a share."""
_BLOCK = 1 << 20
"""The number of hashes or marks that are read at once."""

Progress = Callable[[int], None]
"""A function that is called with the bytes of text hashed so far."""


class Repeated:
    """A context manager that finds repeated lines in the documents of a source.

    Args:
        documents: All documents; they are read once when the context is entered.
        unit: "document": all lines of a document are repeated if an earlier document has the same lines. "line": a line
            is repeated if any document contains the same line earlier.
        progress: A function that is called with the bytes of text hashed so far.
    """

    def __init__(self, documents: Iterable[Document], unit: str, progress: Progress | None = None) -> None:
        self._documents = documents
        self._unit = unit
        self._progress = progress
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Repeated:
        hashes, marks = (self._stack.enter_context(_temporary()) for _ in range(2))
        done = 0
        for document in self._documents:
            texts = document.lines if self._unit == "line" else ("\n".join(document.lines),)
            hashes.write(b"".join([_hash(text) for text in texts]))
            done += document.size
            if self._progress:
                self._progress(done)
        _mark_duplicates(hashes, marks)
        self._marks = _read_marks(marks)
        return self

    def __exit__(self, *problem: object) -> None:
        self._stack.close()

    def lines_of(self, document: Document) -> tuple[int, ...]:
        """Returns the indices of the repeated lines in a document.

        Call this once for each document, in the order of the first pass.
        """
        if self._unit == "line":
            return tuple([place for place in range(len(document.lines)) if next(self._marks)])
        return tuple(range(len(document.lines))) if next(self._marks) else ()


def without_lines(document: Document, places: Collection[int]) -> Document | None:
    """Returns the document without the lines at the indices `places`, or None if no line is left."""
    if not places:
        return document
    left_out = set(places)
    lines = tuple(line for place, line in enumerate(document.lines) if place not in left_out)
    size = sum(len(line.encode("utf-8")) + 1 for line in lines)
    return dataclasses.replace(document, lines=lines, size=size) if lines else None


def _temporary() -> IO[bytes]:
    """Returns a file in TMPDIR that disappears when it is closed or the process ends."""
    return tempfile.TemporaryFile(buffering=1 << 20)


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8"), digest_size=8).digest()


def _mark_duplicates(hashes: IO[bytes], marks: IO[bytes]) -> None:
    """Writes a byte for each hash: 1 if an equal hash precedes it, else 0."""
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
            # Equal hashes are removed before they fill the memory.
            if len(keys) > 2 * _HELD or start + _BLOCK >= total:
                keys, places, repeated = _first_of_each(keys, places)
                marked[repeated] = 1
    marked.flush()


def _first_of_each(keys: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the distinct keys, the first place of each, and the places of all other keys.

    For equal keys, `places` must be in ascending order.
    """
    order = np.argsort(keys, kind="stable")
    keys, places = keys[order], places[order]
    is_first = np.ones(len(keys), bool)
    is_first[1:] = keys[1:] != keys[:-1]
    return keys[is_first], places[is_first], places[~is_first]


def _read_marks(marks: IO[bytes]) -> Iterator[int]:
    marks.seek(0)
    while block := marks.read(_BLOCK):
        yield from block
