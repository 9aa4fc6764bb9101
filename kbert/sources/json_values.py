"""Parses JSON values, and reads the elements of files that are a single JSON array."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from kbert import files
from kbert.errors import DataError

_BETWEEN = re.compile(r"[\s,]*")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_ARRAY = re.compile(rb"\s*\[\s*[\[{\]]")
"""The beginning of an array of objects or lists. An array that begins with a text is a value of a JSON line, such as
spaCy's [text, {"entities": …}]."""


def parse(text: str | bytes) -> Any:
    """Parses a JSON text.

    A lone surrogate, which programs leave when they truncate UTF-16 text, becomes U+FFFD, since it is invalid in UTF-8.

    Raises:
        ValueError: `text` is not valid JSON.
        RecursionError: `text` is nested too deeply.
    """
    value = json.loads(text)
    if not _SURROGATE.search(text if isinstance(text, str) else text.decode("utf-8", "replace")):
        return value
    written = json.dumps(value, ensure_ascii=False)
    return json.loads(written.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def is_array(path: files.PathLike) -> bool:
    """Returns whether a JSON file is a single array: of objects or lists, or of any values if its suffix is .json."""
    head = files.text_head(path)
    return bool(_ARRAY.match(head)) or (head.lstrip().startswith(b"[") and ".json" in Path(path).suffixes)


def array_elements(path: files.PathLike, blocks: Iterable[tuple[int, list[str]]]) -> Iterator[tuple[int, str]]:
    """Yields the elements of a file that is a single JSON array, each as (number, JSON text).

    The number is that of the line where the element begins. Each element has a number of its own, so if several begin
    in a line, a number is one more than the one before: in an array on one line, elements are counted from 1.

    Args:
        path: The file that error messages name.
        blocks: The lines of the file, as `kbert.files.read_line_blocks` yields them.

    Raises:
        DataError: An element is not valid JSON, the array has no end, or something follows it. The error names file
            and line.
    """
    decode = json.JSONDecoder().raw_decode
    text, place, number, counted = "", 0, 1, 0
    last, given = 1, 0
    opened = closed = False
    problem: Exception | None = None
    for first, lines in blocks:
        if not text:
            number = first
        text = text[place:] + "\n".join(lines) + "\n"
        place, counted, last = 0, 0, first + len(lines) - 1
        while True:
            place = _BETWEEN.match(text, place).end()  # type: ignore[union-attr]
            if place >= len(text):
                break
            number, counted = number + text.count("\n", counted, place), place
            if not opened:
                opened, place = True, place + 1  # skips the opening bracket
                continue
            if closed:
                raise DataError(
                    "expected the end of the file after the ] of the JSON array. Received: more text; put all elements "
                    "into one array, or each into a line of its own without brackets around it, as `jq -c '.[]'` does",
                    path,
                    number,
                )
            if text[place] == "]":
                closed, place = True, place + 1
                continue
            try:
                _, end = decode(text, place)
            except (ValueError, RecursionError) as failure:  # perhaps the element continues in the next block
                problem = failure
                break
            problem = None
            given = max(number, given + 1)
            yield given, text[place:end]
            place = end
        number, counted = number + text.count("\n", counted, place), place
    if problem is not None:
        raise DataError(f"expected a JSON array of objects ({problem})", path, number) from None
    if not closed:
        raise DataError("expected ] at the end of the JSON array. Received the end of the file", path, last)
