"""Reads documents from JSON lines: each line is an object with the text of a document in a field."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from kbert.errors import DataError
from kbert.sources.document import Document, Reading
from kbert.sources.json_values import array_elements, is_array


def read_json_lines(path: str, reading: Reading) -> Iterator[Document]:
    """Yields the documents of a JSON lines file or of a JSON array. Blank lines are skipped.

    Raises:
        DataError: A line is not a JSON object, or its field is missing or not text.
    """
    blocks = reading.line_blocks(path)
    # Arrays are always read from the beginning (see `Source.is_seekable`).
    if reading.start is None and is_array(path):
        blocks = ((number, [element]) for number, element in array_elements(path, blocks))
    for first, block in blocks:
        for number, line in enumerate(block, start=first):
            if line and not line.isspace():
                try:
                    text = field_text(parse_object(line, path, number), reading.text_field, path, number)
                except DataError as problem:
                    reading.bad_row(problem)
                    continue
                document = reading.document(text, path, number)
                if document:
                    yield document


def parse_object(line: str, path: str, number: int) -> dict[str, Any]:
    """Returns the JSON object in a line.

    Args:
        line: The line.
        path: The file that error messages name.
        number: The 1-based number of the line.

    Raises:
        DataError: The line is not a JSON object.
    """
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as problem:
        advice = "is this a file of JSON lines? Otherwise name its format with --format"
        if line.strip() == "{":
            advice = "if an object takes several lines, write each in a line of its own, as `jq -c .` does"
        raise DataError(
            f"expected a JSON object. Received {line[:30]!r}, which is not JSON ({problem}); {advice}",
            path,
            number,
        ) from None
    if not isinstance(value, dict):
        raise DataError(
            f"expected a JSON object a line. Received {_kind(value)}; write each document as an object in a line of "
            'its own, such as {"text": "..."}',
            path,
            number,
        )
    return value


def field_text(row: dict[str, Any], field: str, path: str, number: int) -> str | bytes:
    """Returns the text in a field of a row.

    Args:
        row: The row.
        field: The name of the field; "a.b" is field b of field a, unless a field is named "a.b".
        path: The file or dataset that error messages name.
        number: The 1-based number of the line or row.

    Raises:
        DataError: The field is missing, or is not text.
    """
    value: Any = row.get(field, row)
    if value is row:
        for part in field.split("."):
            if not isinstance(value, dict) or part not in value:
                raise DataError(
                    f"expected a field {field!r} with the text. Received {_fields(row)}; name the field with the text "
                    "with --text-field",
                    path,
                    number,
                )
            value = value[part]
    if not isinstance(value, str | bytes):
        raise DataError(
            f"expected text in field {field!r}. Received {_kind(value)}; leave such rows out "
            "(--skip-bad), or name another field with --text-field",
            path,
            number,
        )
    return value


def _fields(row: dict[str, Any]) -> str:
    names: list[str] = []
    for name, value in row.items():
        names += [f"{name}.{inner}" for inner in value] if isinstance(value, dict) else [name]
    shown = ", ".join(repr(name) for name in names[:10]) + (", …" if len(names) > 10 else "")
    return f"the fields {shown}" if names else "no fields"


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return f"the number {value}"
    kinds: dict[type, str] = {list: "a list", dict: "an object", str: "a text", bytes: "a text"}
    return kinds.get(type(value), type(value).__name__)
