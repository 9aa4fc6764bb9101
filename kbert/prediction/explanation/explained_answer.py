"""The explained part of an answer in words, for people. This module imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def explained_answer(explanation: Mapping[str, Any]) -> str:
    """Returns what an explanation explains: a label, with its span if there is one, an answer, or a number.

    Example:
        >>> explained_answer({"text": "Ada left", "label": "person", "start": 0, "end": 3})
        "person 'Ada'"
        >>> explained_answer({"value": 0.25})
        '0.2500'
    """
    if "label" in explanation:
        label = explanation["label"] or "(none)"
        if "start" not in explanation:
            return str(label)
        return f"{label} {explanation['text'][explanation['start'] : explanation['end']]!r}"
    if "answer" in explanation:
        return explanation["answer"] or "(no answer)"
    if "generated" in explanation:
        return str(explanation["generated"])
    if "sentence" in explanation:
        return f"sentence {explanation['sentence']}: {explanation['value']:.4f}"
    return f"{explanation['value']:.4f}"
