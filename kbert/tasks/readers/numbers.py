"""Reads numbers in the cells of tables."""

from __future__ import annotations

import math
import re
from typing import Any

_COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+([eE][+-]?[0-9]+)?")
_BOTH = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:(\.)[0-9]{3}(?:\.[0-9]{3})*,|(,)[0-9]{3}(?:,[0-9]{3})*\.)[0-9]+")
_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}(,[0-9]{3})+")


def parse_number(value: Any) -> float:
    """Returns a finite number, which may be written with a decimal comma, or with marks between thousands.

    Example:
        >>> parse_number("2.5"), parse_number("2,5"), parse_number("0,125")
        (2.5, 2.5, 0.125)
        >>> parse_number("1.234,5"), parse_number("1,234.5")
        (1234.5, 1234.5)

    Raises:
        ValueError: The value is not a finite number, or its comma may be a thousands separator.
    """
    text = value.strip().replace("\u2212", "-") if isinstance(value, str) else value
    both = _BOTH.fullmatch(text) if isinstance(text, str) else None
    if both:
        text = text.replace(both[1] or both[2], "")
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
