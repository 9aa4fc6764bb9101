"""Reads lists of labels in the cells of tables, as JSON, Python, NumPy and PostgreSQL write them."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from kbert.tasks.readers.tables import column_places

_BRACKETS = {"[": "]", "(": ")", "{": "}"}
_LONGEST = 100_000
_ITEM = re.compile(r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([^\s'"]+)""")
_YES, _NO = ("1", "1.0", "true"), ("0", "0.0", "false")
_SEPARATORS = (",", ";", "/", "&", " ")


class LabelVector(tuple[str, ...]):
    """The labels of a row that has a vector of 0 and 1: the indices of the ones, as texts from "0".

    Args:
        labels: The indices of the ones.
        size: The length of the vector.
    """

    size: int

    def __new__(cls, labels: Iterable[str], size: int = 0) -> LabelVector:
        """Makes the tuple of labels, with `size` as an attribute."""
        self = super().__new__(cls, labels)
        self.size = size
        return self

    @classmethod
    def of(cls, values: Sequence[str]) -> LabelVector:
        """Makes the labels of a vector, whose values are the texts of 0 and 1."""
        return cls((str(place) for place, value in enumerate(values) if value.lower() in _YES), len(values))


def parse_list(cell: str) -> list[str] | None:
    """Returns the items of a cell that is written as a list; None for other cells.

    Example:
        >>> parse_list('["joy", "love"]'), parse_list("['joy', 'love']"), parse_list("['joy' 'love']")
        (['joy', 'love'], ['joy', 'love'], ['joy', 'love'])
        >>> parse_list("[0. 1. 1.]"), parse_list("{joy,love}"), parse_list("joy, love")
        (['0.', '1.', '1.'], ['joy', 'love'], None)

    Raises:
        ValueError: The list has items that are not labels, such as lists.
    """
    cell = cell.strip()
    if not cell or len(cell) > _LONGEST or _BRACKETS.get(cell[0]) != cell[-1]:
        return None
    inner = cell[1:-1].strip()
    items = _literal(cell) if "," in inner or not inner else None
    if items is None and cell[0] != "(":
        # NumPy writes spaces between items; PostgreSQL and plain lists have no quotation marks.
        found = [next(filter(None, groups), "") for groups in _ITEM.findall(inner)]
        items = [part.strip(" '\"") for part in inner.split(",")] if "," in inner else found
    if items is None:
        return None
    for item in items:
        if not isinstance(item, (str, int, float)):
            raise ValueError(f"expected a list of labels. Received {cell:.60}")
    return [item if isinstance(item, str) else json.dumps(item) for item in items]


def _literal(cell: str) -> list[Any] | None:
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        try:
            value = ast.literal_eval(cell)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return None
    if isinstance(value, (set, frozenset)):
        value = sorted(value, key=str)
    return list(value) if isinstance(value, (list, tuple)) else [] if value == {} else None


def vector_size(rows: Sequence[Sequence[str]]) -> int:
    """Returns the length of the vectors if the lists of a file are vectors of 0 and 1; 0 if they are lists of labels.

    Lists are vectors if they hold only 0 and 1, and either all have the same length of at least 2, or a list repeats a
    value, which a list of labels does not.
    """
    values = {value.lower() for row in rows for value in row}
    if not rows or not values or not values <= {*_YES, *_NO}:
        return 0
    lengths = Counter(map(len, rows))
    size, _ = lengths.most_common(1)[0]
    repeated = any(len(set(row)) < len(row) for row in rows)
    return size if size > 1 and (len(lengths) == 1 or repeated) else 0


def names_of_columns(said: str) -> list[str]:
    """Returns the label of each column in the option `label_columns`, such as "a,b" or "2,4-6"."""
    names = []
    for part in filter(None, said.split(",")):
        is_range = re.fullmatch(r"\d+-\d+", part)
        names += [str(place + 1) for place in column_places(part)] if is_range else [part]
    return names


def is_yes(name: str, cell: str) -> bool:
    """Returns whether the cell of a label's column says that a text has the label.

    Args:
        name: The name of the column, for messages.
        cell: The content of the cell.

    Raises:
        ValueError: The cell says neither.
    """
    text = cell.strip().lower()
    if text not in (*_YES, "yes", *_NO, "no", ""):
        raise ValueError(f"expected 0 or 1 in the column {name!r}. Received {cell!r}")
    return text in (*_YES, "yes")


def unsplit_labels(labels: Sequence[str]) -> tuple[str, list[str]] | None:
    """Returns the separator that seems to join labels, and the labels that contain it; None if there is no such label.

    Example:
        >>> unsplit_labels(["joy, love", "joy", "anger"])
        (',', ['joy, love'])
    """
    distinct = set(labels)
    for separator in _SEPARATORS:
        joined = [label for label in labels if separator in label.strip(separator)]
        parts = {part.strip() for label in distinct for part in label.split(separator)}
        # A space or a slash may be part of a name. It is a separator only if splitting gives fewer distinct names.
        if joined and (separator in ",;" or len(parts) < len(distinct)):
            return separator, joined
    return None
