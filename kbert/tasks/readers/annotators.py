"""Rows that an annotator did not accept in Prodigy, which exports them with the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

UNFINISHED = "texts were left out, since their annotators rejected or skipped them, or did not annotate them"
"""What a reader tells of such rows, behind their number."""

_PRODIGY, _REJECTED = "_task_hash", ("reject", "ignore")
"""A key of all texts that Prodigy exports, and its answers of annotators who did not accept the label or the spans."""


def is_rejected(values: Mapping[str, Any]) -> bool:
    """Returns whether a row is a text of Prodigy that was rejected or ignored, so that its label or spans are wrong.

    Example:
        >>> is_rejected({"text": "fine", "label": "GOOD", "_task_hash": 7, "answer": "reject"})
        True
        >>> is_rejected({"text": "fine", "label": "GOOD", "answer": "reject"})
        False
    """
    return values.get("answer") in _REJECTED and (_PRODIGY in values or "spans" in values)
