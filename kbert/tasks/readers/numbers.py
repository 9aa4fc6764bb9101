"""Reads numbers in the cells of tables."""

from __future__ import annotations

import math
import re
from typing import Any

_COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+([eE][+-]?[0-9]+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}(,[0-9]{3})+")


def parse_number(value: Any) -> float:
    """Returns a finite number, which may be written with a decimal comma.

    Example:
        >>> parse_number("2.5"), parse_number("2,5"), parse_number("0,125")
        (2.5, 2.5, 0.125)

    Raises:
        ValueError: The value is not a finite number, or its comma may be a thousands separator.
    """
    text = value.strip() if isinstance(value, str) else value
    if isinstance(text, str) and _THOUSANDS.fullmatch(text):
        raise ValueError(
            f"expected a number. Received {value!r}, whose comma may be decimal or part thousands; write it with a "
            "decimal point"
        )
    if isinstance(text, str) and _COMMA.fullmatch(text):
        text = text.replace(",", ".")
    try:
        number = math.nan if isinstance(text, bool) else float(text)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"expected a number. Received {value!r}")
    return number
