"""Answers in the cells of tables: a text, or the object of texts and offsets that pandas writes for SQuAD."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

_ARRAY = re.compile(r"array\((\[.*?\])(?:, dtype=\w+)?\)", re.DOTALL)
"""An array, as NumPy shows it in a cell."""


def parse_answers(cell: str, start: str = "") -> Any:
    """Returns the answers in a cell, as they are in a JSON file.

    Args:
        cell: A text; or an object or a list, as JSON, Python or NumPy write them.
        start: The offset of the text, in another cell; "" if it is unknown.

    Example:
        >>> parse_answers("Ada", "4")
        [{'text': 'Ada', 'answer_start': '4'}]
        >>> parse_answers("{'text': array(['Ada'], dtype=object), 'answer_start': array([4])}")
        {'text': ['Ada'], 'answer_start': [4]}

    Raises:
        ValueError: The cell is empty.
    """
    cell = cell.strip()
    if not cell:
        raise ValueError("expected answers, or true as is_impossible. Received: an empty cell")
    if cell[0] + cell[-1] in ("{}", "[]"):
        plain = _ARRAY.sub(r"\1", cell)
        for parse in (json.loads, ast.literal_eval):
            try:
                value = parse(plain)
            except (ValueError, SyntaxError, RecursionError, MemoryError):
                continue
            if isinstance(value, (dict, list)):
                return value
    return [{"text": cell, "answer_start": start.strip() or None}]
