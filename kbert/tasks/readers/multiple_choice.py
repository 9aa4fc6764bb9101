"""Reads the labels of multiple choice: the number, the letter or the text of the right choice."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kbert.errors import DataError
from kbert.files import PathLike

LABEL_FORMATS = ("0", "1", "letter", "text")
"""A number from 0, a number from 1, a letter from A, or the text of the choice."""


def choice_index(label: str | int, choices: Sequence[str], label_format: str) -> int:
    """Returns the index (from 0) of the choice that a label names.

    Args:
        label: The label in the file; an int is already the index and is returned unchanged.
        choices: The choices.
        label_format: The format of the label, one of LABEL_FORMATS.

    Raises:
        ValueError: The label names no choice; the message says what was expected.
    """
    if isinstance(label, int):
        return label
    if label_format == "text":
        expected = "the text of one of the choices"
        index = choices.index(label) if label in choices else -1
    elif label_format == "letter":
        expected = f"a letter from A to {chr(ord('A') + len(choices) - 1)}"
        index = _letter(label)
    else:
        first = int(label_format)
        expected = f"a number from {first} to {first + len(choices) - 1}"
        index = _number(label, first)
    if not 0 <= index < len(choices):
        raise ValueError(f"expected {expected} as label. Received {label!r}")
    return index


def detect_label_format(rows: Sequence[tuple[str, Sequence[str]]], path: PathLike) -> str:
    """Returns the label format that fits most rows, one of LABEL_FORMATS; "text" if it fits as many as the others.

    Args:
        rows: The label and the choices of each row.
        path: The file, for messages.

    Raises:
        DataError: Numbers from 0 and numbers from 1 fit equally many rows.
    """
    fits = {each: sum(_fits(label, choices, each) for label, choices in rows) for each in LABEL_FORMATS}
    most = max(fits.values())
    if fits["text"] == most:
        return "text"
    if fits["0"] == fits["1"] == most:
        raise DataError(
            "expected labels that count from 0, or from 1. As many rows fit the one as the other; give --label-format "
            "0 or --label-format 1",
            path,
        )
    return max(fits, key=lambda each: fits[each])


def _fits(label: str, choices: Sequence[str], label_format: str) -> bool:
    try:
        choice_index(label, choices, label_format)
    except ValueError:
        return False
    return True


def _letter(label: str) -> int:
    label = label.strip().upper()
    return ord(label) - ord("A") if len(label) == 1 and label.isascii() and label.isalpha() else -1


def _number(label: str, first: int) -> int:
    label = re.sub(r"\.0*$", "", label.strip())  # pandas writes 1 as 1.0 beside missing values
    return int(label) - first if label.isascii() and label.isdecimal() else -1
