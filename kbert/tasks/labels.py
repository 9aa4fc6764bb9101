"""Names of classes: how they are spelled in files, their order, and their keys in config.json."""

from __future__ import annotations

import logging
import math
import re
import unicodedata
from collections.abc import Collection, Sequence
from typing import Any

from kbert.files import PathLike

_LOG = logging.getLogger("kbert")
MISSING = frozenset(
    "#N/A|#N/A N/A|#NA|-1.#IND|-1.#QNAN|-NaN|-nan|1.#IND|1.#QNAN|<NA>|N/A|NA|NULL|NaN|None|n/a|nan|null|NaT".split("|")
)
"""The cells that pandas reads as missing values (`pandas.read_csv`, `na_values`), beside the empty cell."""
_BOOLEANS = {"true": "True", "TRUE": "True", "false": "False", "FALSE": "False"}
"""The booleans of JSON and Excel, as pandas spells them."""
_NUMBER = re.compile(r"[+-]?(0|[1-9][0-9]*)(\.[0-9]*)?([eE][+-]?[0-9]{1,3})?")


def is_missing(label: str) -> bool:
    """Returns whether a cell is empty, or one of the spellings that pandas reads as a missing value.

    Example:
        >>> [is_missing(label) for label in ("nan", "NA", "", "none of these")]
        [True, True, True, False]
    """
    return not label.strip() or label.strip() in MISSING


def check_label(label: str, missing_labels: str) -> None:
    """Checks that a label is not a missing value.

    Args:
        label: The content of a cell.
        missing_labels: The option of that name; "empty" allows the spellings of pandas as labels.

    Raises:
        ValueError: The label is a missing value.
    """
    if missing_labels != "empty" and is_missing(label):
        raise ValueError(
            f"expected a label. Received {label!r}, which stands for a missing value; skip such rows with --skip-bad, "
            "or give --missing-labels empty if it is a label"
        )


def canonical_label(label: str) -> str:
    """Returns the label in one spelling: equal numbers become the same label, and so do spellings of true and of false.

    Other labels stay as they are. Digits with leading zeros, such as "007", are names, not numbers.

    Example:
        >>> [canonical_label(label) for label in ("1", "1.0", "1e0", "-0", "4.50", "007", "v1.0", "true", "FALSE")]
        ['1', '1', '1', '0', '4.5', '007', 'v1.0', 'True', 'False']
    """
    if label in _BOOLEANS:
        return _BOOLEANS[label]
    if not _NUMBER.fullmatch(label):
        return label
    number = float(label)
    if not math.isfinite(number):
        return label
    if number == int(number):
        # A float would round long integers, so they are converted directly.
        return str(int(label)) if re.fullmatch(r"[+-]?[0-9]+", label) else str(int(number))
    return repr(number)


def sorted_labels(labels: Collection[str]) -> list[str]:
    """Returns the labels in the order of the logits: sorted as numbers if all are numbers, else as text."""
    try:
        numbers = {label: float(label) for label in labels}
    except ValueError:
        return sorted(labels)
    # "nan" and "inf" are floats to Python, but have no order among labels.
    finite = all(map(math.isfinite, numbers.values()))
    return sorted(labels, key=lambda label: (numbers[label], label) if finite else (0.0, label))


def warn_of_similar_labels(labels: Collection[str], path: PathLike) -> None:
    """Logs a warning if labels differ only in capitals or in characters that look alike, since this may be a slip.

    Args:
        labels: The labels.
        path: Their file, for the message.
    """
    similar = similar_labels(labels)
    if similar:
        listed = " and ".join(map(ascii, similar))
        _LOG.warning(
            "%s: the labels %s differ only in capitals or in characters that look alike, and are learnt as different "
            "labels; if they are the same, write them alike",
            path,
            listed,
        )


def similar_labels(labels: Collection[str]) -> list[str]:
    """Returns the first labels that differ only in capitals, invisible characters, or how Unicode writes a letter.

    The result is empty if there are none.

    Example:
        >>> similar_labels(["Spam", "ham", "spam"])
        ['Spam', 'spam']
    """
    groups: dict[str, list[str]] = {}
    for label in labels:
        seen = "".join(each for each in label if unicodedata.category(each) != "Cf")
        groups.setdefault(unicodedata.normalize("NFC", seen).casefold().strip(), []).append(label)
    return next((group for group in groups.values() if len(group) > 1), [])


def label_ids(labels: Sequence[str]) -> dict[str, int]:
    """Returns the index of each label.

    Example:
        >>> label_ids(["bad", "good"])
        {'bad': 0, 'good': 1}

    Raises:
        ValueError: Two labels are equal, so that answers would not tell them apart.
    """
    ids = {label: index for index, label in enumerate(labels)}
    if len(ids) < len(labels):
        twice = next(label for index, label in enumerate(labels) if ids[label] != index)
        raise ValueError(f"labels must have different names. Received: {twice!r} twice")
    return ids


def label_names(labels: Sequence[str]) -> dict[str, Any]:
    """Returns the keys of config.json with which Transformers names the labels, given in the order of the logits."""
    return {
        "id2label": {str(index): label for index, label in enumerate(labels)},
        "label2id": {label: index for index, label in enumerate(labels)},
    }
