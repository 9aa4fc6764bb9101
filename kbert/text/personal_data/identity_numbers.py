"""Numbers by which states identify persons: of China (GB 11643, with a check digit) and of the United States (SSN)."""

from __future__ import annotations

import datetime
import re

from kbert.text.personal_data.detector import Detector, is_preceded_by, letters_and_digits, matches

_CHINESE = re.compile(
    r"(?<![A-Za-z0-9])[1-9]\d{5}(?:18|19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx](?![A-Za-z0-9])"
)
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK_DIGITS = "10X98765432"
_SOCIAL = re.compile(
    r"(?<![A-Za-z0-9./-])(?!000|666|9)\d{3}(?P<mark>[ -]?)(?!00)\d\d(?P=mark)(?!0000)\d{4}(?![A-Za-z0-9]|[-/]\d|[.,]\d)"
)
_SOCIAL_NAMED = re.compile(r"\bSSN\b|social.security", re.IGNORECASE)


def chinese_check_digit(first: str) -> str:
    """Returns the last character of a Chinese identity number.

    Args:
        first: The first 17 digits.

    Example:
        >>> chinese_check_digit("11010519491231002")
        'X'
    """
    return _CHECK_DIGITS[sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, first, strict=True)) % 11]


def _is_chinese(match: re.Match[str]) -> bool:
    value = match[0].upper()
    try:
        datetime.date(int(value[6:10]), int(value[10:12]), int(value[12:14]))
    except ValueError:
        return False
    return value[17] == chinese_check_digit(value[:17])


def _is_social(match: re.Match[str]) -> bool:
    """Returns whether nine digits are a social security number: hyphens say so, otherwise a word before them."""
    return match["mark"] == "-" or is_preceded_by(_SOCIAL_NAMED, match)


CHINESE_ID = Detector(
    "chinese-id",
    "Chinese identity numbers with a valid date and check digit",
    matches(_CHINESE, _is_chinese),
    re.compile(r"\d{17}"),
    letters_and_digits,
)
SSN = Detector(
    "ssn", "social security numbers of the United States", matches(_SOCIAL, _is_social), re.compile(r"\d{4}"),
    letters_and_digits,
)  # fmt: skip
