"""Reads JSON as TensorFlow Serving does: with NaN and Infinity, of any depth, and without what follows the document."""

from __future__ import annotations

import codecs
import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]  # typeshed does not list it
from typing import Any

from kbert.serving.request_error import invalid

_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_WORDS = {
    "true": True,
    "false": False,
    "null": None,
    "NaN": float("nan"),
    "Infinity": float("inf"),
    "-Infinity": float("-inf"),
    "Inf": float("inf"),
    "-Inf": float("-inf"),
}
_WORD = re.compile("|".join(sorted(_WORDS, key=len, reverse=True)))
_LARGEST_INTEGER = 2**64
# The slow parser reads a megabyte in about a second.
_LARGEST_UNUSUAL = 4 * 2**20
# Each level needs a hundred bytes of memory, and one byte of a body.
_MOST_LEVELS = 1_000_000


class _TooBig(ValueError):
    """A number is beyond the range of float64."""


def parse_object(body: bytes) -> dict[str, Any]:
    """Returns the JSON object that a body begins with. Of two equal keys of an object, the first one counts.

    Whole numbers that are too large for 64 bits become floats.

    Raises:
        RequestError: The body does not begin with a JSON object.
    """
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    try:
        text = body.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as problem:
        raise invalid(f"JSON Parse error: Invalid UTF-8 at offset: {problem.start}") from None
    start = _skip(text, 0)
    try:
        document = _DECODER.raw_decode(text, start)[0]
    except (ValueError, RecursionError) as problem:
        if isinstance(problem, _TooBig):
            raise invalid("JSON Parse error: Number too big to be stored in double.") from None
        if len(text) > _LARGEST_UNUSUAL:
            raise invalid(f"JSON Parse error: {str(problem) or 'The document is nested too deeply'}") from None
        # Python's parser is fast, but has a limited depth and lacks some words for numbers.
        document = _parse(text, start)
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {shown(document)} Is not object")
    return document


def shown(value: Any) -> str:
    """Returns a JSON value as text for a message, cut where it is long."""
    try:
        # Of large values only the beginning is written.
        text = "".join(_beginning(value))
    except RecursionError:
        text = "[...]"
    return text if len(text) <= 60 else text[:57] + "..."


def kind(value: Any) -> str:
    """Returns the type of a JSON value, as TensorFlow Serving calls it."""
    if value is None or isinstance(value, bool):
        return {None: "Null", True: "True", False: "False"}[value]
    return {str: "String", int: "Number", float: "Number", list: "Array", dict: "Object"}[type(value)]


def _beginning(value: Any) -> list[str]:
    parts = []
    length = 0
    for part in json.JSONEncoder(ensure_ascii=False).iterencode(value):
        parts.append(part)
        length += len(part)
        if length > 60:
            break
    return parts


def _first_wins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        for key, value in reversed(pairs):
            result[key] = value
    return result


def _decimal(text: str) -> float:
    number = float(text)
    if abs(number) == float("inf"):
        raise _TooBig
    return number


def _integer(text: str) -> int | float:
    if len(text) < 19:
        return int(text)
    number = _decimal(text)
    return int(text) if abs(number) <= _LARGEST_INTEGER and abs(int(text)) < _LARGEST_INTEGER else number


_DECODER = json.JSONDecoder(object_pairs_hook=_first_wins, parse_int=_integer, parse_float=_decimal)


def _skip(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return position if found is None else found.end()


def _parse(text: str, position: int) -> Any:
    """Reads a document of any depth: containers that are not complete wait in a list."""
    # Each container with the key of the value that comes next; lists have none.
    waiting: list[tuple[Any, str]] = []
    while True:
        position = _skip(text, position)
        if text.startswith(("{", "["), position):
            container: Any = {} if text[position] == "{" else []
            position = _skip(text, position + 1)
            if not text.startswith("}" if container == {} else "]", position):
                key = ""
                if isinstance(container, dict):
                    key, position = _key(text, position)
                waiting.append((container, key))
                if len(waiting) > _MOST_LEVELS:
                    raise invalid(f"JSON Parse error: expected at most {_MOST_LEVELS} levels. Received: more")
                continue
            value: Any = container
            position += 1
        else:
            value, position = _scalar(text, position)
        # The value may complete any number of containers.
        while waiting:
            container, key = waiting.pop()
            if isinstance(container, dict):
                container.setdefault(key, value)
            else:
                container.append(value)
            position = _skip(text, position)
            if text.startswith(",", position):
                if isinstance(container, dict):
                    key, position = _key(text, position + 1)
                else:
                    position += 1
                waiting.append((container, key))
                break
            end = "}" if isinstance(container, dict) else "]"
            if not text.startswith(end, position):
                raise _error(f"Missing a comma or {end}", text, position)
            value = container
            position += 1
        else:
            return value


def _key(text: str, position: int) -> tuple[str, int]:
    position = _skip(text, position)
    if not text.startswith('"', position):
        raise _error("Missing a name for object member.", text, position)
    key, position = _string(text, position)
    position = _skip(text, position)
    if not text.startswith(":", position):
        raise _error("Missing a colon after a name of object member.", text, position)
    return key, position + 1


def _scalar(text: str, position: int) -> tuple[Any, int]:
    if text.startswith('"', position):
        return _string(text, position)
    word = _WORD.match(text, position)
    if word is not None:
        return _WORDS[word.group()], word.end()
    number = _NUMBER.match(text, position)
    if number is None:
        what = "The document is empty" if position >= len(text) else "Invalid value."
        raise _error(what, text, position)
    is_float = number.group(1) or number.group(2)
    try:
        return (_decimal if is_float else _integer)(number.group()), number.end()
    except _TooBig:
        raise _error("Number too big to be stored in double.", text, position) from None


def _string(text: str, position: int) -> tuple[str, int]:
    try:
        string, end = scanstring(text, position + 1)
    except ValueError:
        raise _error("Missing a closing quotation mark, or an invalid escape, in string.", text, position) from None
    return string, end


def _error(what: str, text: str, position: int) -> Exception:
    offset = len(text[:position].encode("utf-8", "surrogatepass"))
    return invalid(f"JSON Parse error: {what} at offset: {offset}")
