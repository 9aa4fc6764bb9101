"""The page of explanations: texts with coloured words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kbert.report.page import Html, element, join, note, page, section
from kbert.version import __version__

_POSITIVE, _NEGATIVE = "47,158,107", "176,65,62"
"""The colours of words that raise the number and of words that lower it, as red, green and blue."""
_STRONGEST = 0.75
"""The opacity of the colour of the word with the largest score of a text."""


def explanation_page(explanations: Sequence[Mapping[str, Any]], task: Any, method: str) -> str:
    """Makes a page about the explanations of texts.

    Args:
        explanations: What `Predictor.explain` returned.
        task: The task of the model.
        method: The name of the method.

    Returns:
        The page as HTML, which needs no other file.
    """
    columns = [text.column for text in task.explained_inputs]
    return page(
        f"Explanations of {task.name}",
        note(
            f"The score of a word is its part of the {task.explained_as}, by the method {method}. Green words raise "
            "it, red words lower it; the colour is strongest for the word with the largest score of its text."
        ),
        *(_explanation(explanation, columns) for explanation in explanations),
        footer=f"kbert {__version__}",
    )


def coloured_text(text: str, words: Sequence[Mapping[str, Any]]) -> Html:
    """Makes a paragraph of a text whose words have the colours of their scores.

    Args:
        text: The text.
        words: Its words in order, each with "start", "end" and "score".
    """
    largest = max((abs(word["score"]) for word in words), default=0.0) or 1.0
    parts: list[Any] = []
    end = 0
    for word in words:
        parts.append(text[end : word["start"]])
        colour = _POSITIVE if word["score"] > 0 else _NEGATIVE
        strength = _STRONGEST * abs(word["score"]) / largest
        parts.append(
            element(
                "mark",
                text[word["start"] : word["end"]],
                style=f"background:rgba({colour},{strength:.3f})",
                title=f"{word['score']:+.4f}",
            )
        )
        end = max(end, word["end"])
    return element("p", join([*parts, text[end:]]), class_="example")


def _explanation(explanation: Mapping[str, Any], columns: Sequence[str]) -> Html:
    answer = explanation["label"] if "label" in explanation else f"{explanation['value']:.4g}"
    texts = []
    for column in columns:
        text = explanation[column] if isinstance(explanation[column], str) else explanation["choice"]
        words = [word for word in explanation["words"] if word.get("input", column) == column]
        texts.append(coloured_text(text, words))
    gap = f"The scores add up to the change of the number within {explanation['completeness_gap']:.2%} of it."
    return section(answer, *texts, note(gap))
