"""Objects of JSON lines files, and of files that are one JSON array, each with the line it begins in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kbert import files
from kbert.errors import DataError
from kbert.tasks.readers.bad_rows import BadRows
from kbert.tasks.readers.memory_table import MemoryTable
from kbert.tasks.readers.table_format import TableFormat

_BETWEEN = re.compile(r"[\s,]*")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse(text: str | bytes) -> Any:
    """The value of a JSON text.

    Half a character, as programs leave that cut texts by their UTF-16, becomes U+FFFD: no file could hold it.

    Raises:
        ValueError: It is no JSON.
        RecursionError: It is nested too deep.
    """
    value = json.loads(text)
    if not _SURROGATE.search(text if isinstance(text, str) else text.decode("utf-8", "replace")):
        return value
    written = json.dumps(value, ensure_ascii=False)
    return json.loads(written.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def read_objects(
    path: files.PathLike, *, form: TableFormat | None = None, bad: BadRows | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields the line and the object of each line of a JSON lines file; empty lines are left out.

    A .json file may also be one array of objects, and a table in memory gives its rows.

    Raises:
        DataError: A line is no JSON object; with file and line.
    """
    bad = bad or BadRows()
    for number, value in read_values(path, form=form, bad=bad):
        if isinstance(value, dict):
            yield number, value
        else:
            bad.skip(DataError(f"expected a JSON object a line. Received {type(value).__name__}", path, number))


def read_values(
    path: files.PathLike, *, form: TableFormat | None = None, bad: BadRows | None = None
) -> Iterator[tuple[int, Any]]:
    """Yields the line and the value of each line, or of each element of an array; they need not be objects.

    Raises:
        DataError: A line is no JSON; with file and line.
    """
    if isinstance(path, MemoryTable):
        yield from path.numbered_rows()
        return
    bad = bad or BadRows()
    lines = (form or TableFormat()).numbered_lines(path, bad)
    if ".json" in (suffix.lower() for suffix in Path(path).suffixes[-2:]):  # .json.gz too
        lines = _array_or_lines(path, lines)
    for number, line in lines:
        if not line.strip():
            continue
        try:
            yield number, parse(line)
        except (ValueError, RecursionError) as problem:
            bad.skip(DataError(f"expected a JSON object a line ({problem})", path, number))


def _array_or_lines(path: files.PathLike, lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """The lines as they are, or of one JSON array the elements, each with the line it begins in."""
    rows = list(lines)
    text = "\n".join(line for _, line in rows)
    if not text.lstrip().startswith("["):
        yield from rows
        return
    decode = json.JSONDecoder().raw_decode
    place, line = text.index("[") + 1, 1
    counted = 0
    while True:
        place = _BETWEEN.match(text, place).end()  # type: ignore[union-attr]
        if place >= len(text):
            raise DataError("expected ] at the end of the JSON array. Received the end of the file", path, len(rows))
        line, counted = line + text.count("\n", counted, place), place
        if text[place] == "]":
            return
        try:
            _, end = decode(text, place)
        except (ValueError, RecursionError) as problem:
            raise DataError(f"expected a JSON array of objects ({problem})", path, line) from None
        yield line, text[place:end]
        place = end
