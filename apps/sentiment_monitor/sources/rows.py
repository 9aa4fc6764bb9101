"""Headlines out of the lines of a file: CSV, JSON lines, or a headline a line."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from apps.sentiment_monitor.headline import Headline, Problem
from apps.sentiment_monitor.times import parse_time

FORMATS = ("csv", "tsv", "jsonl", "lines")
_FORMAT_OF_SUFFIX = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_TEXT_NAMES = ("text", "headline", "title")
_TIME_NAMES = ("time", "published", "date", "timestamp")
_SOURCE_NAMES = ("source", "publisher")
_LONGEST_HEADLINE = 10_000
_LONGEST_ROW = 100_000
_MOST_LINES = 50
"""The limits of a row: one that is longer is a quote that was never closed, or no text."""


def format_of(path: str) -> str:
    """Returns the format that the suffix of a file means; files with other suffixes have a headline a line."""
    return next((form for suffix, form in _FORMAT_OF_SUFFIX.items() if path.lower().endswith(suffix)), "lines")


@dataclass(frozen=True)
class Position:
    """How far a file was read.

    Args:
        offset: The number of bytes.
        line: The number of lines.
        header: The names of the columns, if the file has a header.
    """

    offset: int = 0
    line: int = 0
    header: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Rows:
    """The rows that were read, and the position after them."""

    headlines: list[Headline]
    problems: list[Problem]
    position: Position
    ended: bool


def read_rows(
    stream: BinaryIO, position: Position, form: str, *, name: str, now: float, final: bool, limit: int
) -> Rows:
    """Reads some rows of a file, from a position on.

    Args:
        stream: The file, whose next byte is that of the position.
        position: Where to begin.
        form: One of FORMATS.
        name: The name of the file, for problems.
        now: The time of headlines without one, in seconds since 1970. Later times are replaced by it.
        final: Whether the file is complete. If not, a last row that has no line break yet is left for the next time.
        limit: The number of rows after which reading stops.
    """
    begin = position
    headlines: list[Headline] = []
    problems: list[Problem] = []
    for _ in range(limit):
        lines = _next_row(stream, quoted=form in ("csv", "tsv"), final=final)
        if not lines:
            return Rows(headlines, problems, position, ended=True)
        first = position.line + 1
        data = b"".join(lines)
        position = replace(position, offset=position.offset + len(data), line=position.line + len(lines))
        try:
            text = data.decode("utf-8-sig" if first == 1 else "utf-8").strip("\r\n")
        except UnicodeDecodeError:
            problems.append(Problem(f"{name}:{first}", "expected text in UTF-8. Received: other bytes"))
            continue
        if not text.strip():
            continue
        try:
            if form in ("csv", "tsv"):
                cells = next(csv.reader([text], delimiter="\t" if form == "tsv" else ","))
                if position.header is None:
                    if _find(cells, _TEXT_NAMES) is None:
                        # The file is read from its beginning when its header has been corrected.
                        return Rows([], [Problem(f"{name}:{first}", _no_column(cells, _TEXT_NAMES))], begin, ended=True)
                    position = replace(position, header=tuple(cells))
                    continue
                headlines.append(_from_cells(cells, position.header, now))
            else:
                headlines.append(_from_json(text, now) if form == "jsonl" else Headline(_checked(text), now))
        except (ValueError, csv.Error) as problem:
            problems.append(Problem(f"{name}:{first}", str(problem)))
    return Rows(headlines, problems, position, ended=False)


def _next_row(stream: BinaryIO, *, quoted: bool, final: bool) -> list[bytes]:
    """Returns the lines of the next row; none if it is not complete.

    A quoted cell may contain line breaks: such a row is complete when it has an even number of quotes. If that takes
    too many lines, the first line alone is the row.
    """
    lines: list[bytes] = []
    quotes = size = 0
    while True:
        line = stream.readline(_LONGEST_ROW)
        ended = not line.endswith(b"\n") and len(line) < _LONGEST_ROW
        lines += [line] if line else []
        size += len(line)
        quotes += line.count(b'"')
        if not ended and not (quoted and quotes % 2):
            return lines
        if ended or len(lines) > _MOST_LINES or size > _LONGEST_ROW:
            if ended and not final:
                return []
            if quoted and quotes % 2 and len(lines) > 1:
                stream.seek(len(lines[0]) - size, 1)
                return lines[:1]
            return lines


def _from_cells(cells: Sequence[str], header: Sequence[str], now: float) -> Headline:
    if len(cells) != len(header):
        raise ValueError(f"expected {len(header)} cells, as in the header. Received: {len(cells)}")
    return _headline(dict(zip(header, cells, strict=True)), now)


def _from_json(line: str, now: float) -> Headline:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError(f"expected a JSON object. Received: {line[:50]!r}") from None
    if not isinstance(value, dict):
        raise ValueError(f"expected a JSON object. Received: {line[:50]!r}")
    return _headline(value, now)


def _headline(values: Mapping[str, Any], now: float) -> Headline:
    names = list(values)
    text = values[_column(names, _TEXT_NAMES)]
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"expected a text. Received: {str(text)[:50]!r}")
    time = _optional(values, names, _TIME_NAMES)
    source = _optional(values, names, _SOURCE_NAMES)
    # A clock that is wrong elsewhere must not bring headlines from the future.
    return Headline(_checked(text), min(parse_time(time), now) if time else now, source)


def _optional(values: Mapping[str, Any], names: Sequence[str], known: Sequence[str]) -> str:
    """Returns the value of an optional column as text; "" if it has none."""
    column = _find(names, known)
    value = None if column is None else values[column]
    return "" if value is None else str(value).strip()


def _column(names: Sequence[str], known: Sequence[str]) -> str:
    column = _find(names, known)
    if column is None:
        raise ValueError(_no_column(names, known))
    return column


def _no_column(names: Sequence[str], known: Sequence[str]) -> str:
    return f"expected a column {' or '.join(known)}. Received: {', '.join(names)[:100]}"


def _find(names: Sequence[str], known: Sequence[str]) -> str | None:
    by_lower = {name.strip().lower(): name for name in reversed(names)}
    return next((by_lower[name] for name in known if name in by_lower), None)


def _checked(text: str) -> str:
    text = " ".join(text.split())
    if len(text) > _LONGEST_HEADLINE:
        raise ValueError(f"expected a headline of at most {_LONGEST_HEADLINE:,} characters. Received: {len(text):,}")
    return text
