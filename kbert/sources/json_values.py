"""JSON values of files: a value a line, or the elements of one array, each with the line it begins in."""

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
"""An array of objects or lists; one of texts is a line of its own, as spaCy's [text, {"entities": …}]."""


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


def is_array(path: files.PathLike) -> bool:
    """Whether a JSON file is one array: of objects or lists, or of anything if it is called .json."""
    head = files.text_head(path)
    return bool(_ARRAY.match(head)) or (head.lstrip().startswith(b"[") and ".json" in Path(path).suffixes)


def array_elements(path: files.PathLike, blocks: Iterable[tuple[int, list[str]]]) -> Iterator[tuple[int, str]]:
    """Streams the elements of a file that is one JSON array: the JSON text of each with the line it begins in.

    Args:
        path: The file, for messages.
        blocks: Its lines; see `kbert.files.read_line_blocks`.

    Raises:
        DataError: An element is no JSON, or the array has no end; with file and line.
    """
    decode = json.JSONDecoder().raw_decode
    text, place, number, counted = "", 0, 1, 0
    last = 1
    opened = False
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
                opened, place = True, place + 1  # the [ that it begins with
                continue
            if text[place] == "]":
                return
            try:
                _, end = decode(text, place)
            except (ValueError, RecursionError) as failure:  # or the element goes on in the next block
                problem = failure
                break
            problem = None
            yield number, text[place:end]
            place = end
        number, counted = number + text.count("\n", counted, place), place
    if problem is not None:
        raise DataError(f"expected a JSON array of objects ({problem})", path, number) from None
    raise DataError("expected ] at the end of the JSON array. Received the end of the file", path, last)
