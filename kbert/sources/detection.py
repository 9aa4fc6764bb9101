"""Detects the format of a file."""

from __future__ import annotations

import re
from pathlib import Path

from kbert import files
from kbert.sources.sheets import file_of

FORMATS = ("text", "jsonl", "csv", "tsv", "wikiextractor", "parquet", "xlsx")

_SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
}
_BEGIN = (
    ("wikiextractor", re.compile(rb'<doc\s[^>\n]*>|\{"id": ?"\d+",(?: ?"revid": ?"\d*",)? ?"url": ?"[^"]*\?curid=')),
    ("jsonl", re.compile(rb'\{\s*(?:"(?:[^"\\\n]|\\.)*"\s*:|\}\s*$)|\[\s*(?:\{\s*"|\[\s*")')),
    ("parquet", re.compile(rb"PAR1")),
)


def detect_format(path: files.PathLike) -> str:
    """Returns the format of a file or sheet, one of FORMATS, detected from its first bytes, else from its suffix.

    Raises:
        DataError: The file is compressed and damaged.
    """
    head = files.text_head(file_of(path)).lstrip()
    for name, begin in _BEGIN:
        if begin.match(head):
            return name
    return format_by_suffix(path)


def format_by_suffix(path: files.PathLike) -> str:
    """Returns the format that the suffix of a file stands for, or "text". Suffixes of compression are ignored.

    Example:
        >>> format_by_suffix("train.csv.gz"), format_by_suffix("train.dat")
        ('csv', 'text')
    """
    suffixes = [suffix.lower() for suffix in Path(file_of(path)).suffixes]
    if suffixes and suffixes[-1] in files.COMPRESSED:
        suffixes.pop()
    return _SUFFIXES.get(suffixes[-1] if suffixes else "", "text")
