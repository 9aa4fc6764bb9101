"""Finds out what format a file has."""

from __future__ import annotations

import os
import re
from pathlib import Path

from kbert import files

FORMATS = ("text", "jsonl", "csv", "tsv", "wikiextractor", "parquet")

_COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
_SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_BEGIN = (
    ("wikiextractor", re.compile(rb'<doc\s[^>\n]*>|\{"id": ?"\d+",(?: ?"revid": ?"\d*",)? ?"url": ?"[^"]*\?curid=')),
    ("jsonl", re.compile(rb'\{\s*(?:"(?:[^"\\\n]|\\.)*"\s*:|\}\s*$)')),
    ("parquet", re.compile(rb"PAR1")),
)


def detect_format(path: files.PathLike) -> str:
    """The format of a file: by how it begins, else by its suffix, else text.

    Raises:
        DataError: Its compressed stream is damaged.
    """
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    if suffixes and suffixes[-1] in _COMPRESSED:
        suffixes.pop()
    suffix = suffixes[-1] if suffixes else ""
    head = files.read_head(os.fspath(path), 1 << 14).removeprefix(b"\xef\xbb\xbf").lstrip()
    for name, begin in _BEGIN:
        if begin.match(head):
            return name
    return _SUFFIXES.get(suffix, "text")
