"""Tables that are a single JSON object, as pandas and other programs write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SPLIT = {"columns", "data"}


def rows_of_table(value: Any) -> list[dict[str, Any]] | None:
    """Returns the rows of a table that is a single JSON object; None for other values, such as a single row.

    The object has a column or a row in each entry, as `DataFrame.to_json` writes it with the orientations "columns",
    which is its default, and "index"; or it has the rows as "data", with the orientations "split" and "table", or as
    other programs write them beside a version.

    Args:
        value: The value.

    Example:
        >>> rows_of_table({"text": {"0": "good", "1": "bad"}, "label": {"0": 1, "1": 0}})
        [{'text': 'good', 'label': 1}, {'text': 'bad', 'label': 0}]
        >>> rows_of_table({"columns": ["text", "label"], "index": [0], "data": [["good", 1]]})
        [{'text': 'good', 'label': 1}]
        >>> rows_of_table({"version": "1", "data": [{"text": "good", "label": 1}]})
        [{'text': 'good', 'label': 1}]
    """
    if not isinstance(value, dict) or not value:
        return None
    data = value.get("data")
    if isinstance(data, list) and data:
        return _of_data(data, value)
    parts = list(value.values())
    if not all(isinstance(part, dict) and part and part.keys() == parts[0].keys() for part in parts):
        return None
    if all(map(str.isdecimal, value)):
        return [dict(part) for part in parts]
    if all(map(str.isdecimal, parts[0])):
        return [{name: part[row] for name, part in value.items()} for row in parts[0]]
    return None


def _of_data(data: list[Any], value: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """Returns the rows of a list under the key "data"; None if its elements are no rows."""
    if all(isinstance(row, dict) for row in data):
        return [dict(row) for row in data]
    columns = value.get("columns")
    if not value.keys() >= _SPLIT or not isinstance(columns, list):
        return None
    if not all(isinstance(row, list) and len(row) == len(columns) for row in data):
        return None
    return [dict(zip(map(str, columns), row, strict=True)) for row in data]
