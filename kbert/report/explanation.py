"""The page of explanations, and texts with coloured words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kbert.prediction.explanation.explained_answer import explained_answer
from kbert.report.page import Html, element, join, note, page, section
from kbert.version import __version__

COLOURS = (
    "Blue words with a solid line raise it, orange words with a dashed line lower it; both are strongest for the word "
    "with the largest score of its text."
)

_LEVELS = 10
"""The strongest colour; the page has a class for each level."""


def explanation_page(explanations: Sequence[Mapping[str, Any]], task: Any, method: str) -> str:
    """Makes a page about the explanations of texts.

    Args:
        explanations: What `Predictor.explain` returned.
        task: The task of the model.
        method: The name of the method.

    Returns:
        The page as HTML, which needs no other file.
    """
    return page(
        f"Explanations of {task.name}",
        note(f"The score of a word is its part of the {task.explained_as}, by the method {method}. {COLOURS}"),
        *(
            section(
                explained_answer(explanation),
                *coloured_texts(explanation, text_columns(task)),
                note(
                    f"The scores add up to the change of the number within {explanation['completeness_gap']:.2%} of it."
                ),
            )
            for explanation in explanations
        ),
        footer=f"kbert {__version__}",
    )


def text_columns(task: Any) -> list[str]:
    """Returns the names of the texts of an explanation."""
    return [text.column for text in task.explained_inputs if not text.is_span]


def coloured_texts(explanation: Mapping[str, Any], columns: Sequence[str]) -> list[Html]:
    """Makes a paragraph for each text of an explanation, with coloured words.

    Args:
        explanation: What `Predictor.explain` returned for a text or a pair.
        columns: The names of the texts.
    """
    largest = max((abs(word["score"]) for word in explanation["words"]), default=0.0)
    parts = []
    for column in columns:
        words = [word for word in explanation["words"] if word.get("input", column) == column]
        if isinstance(explanation[column], str):
            parts.append(coloured_text(explanation[column], words, largest))
        elif "choice" in explanation:
            parts.append(coloured_text(explanation["choice"], words, largest))
        else:  # the sentences of a document
            parts += [
                coloured_text(sentence, [word for word in words if word["sentence"] == index], largest)
                for index, sentence in enumerate(explanation[column])
            ]
    return parts


def coloured_text(text: str, words: Sequence[Mapping[str, Any]], largest: float | None = None) -> Html:
    """Makes a paragraph of a text whose words have the colours of their scores.

    Args:
        text: The text.
        words: Its words in order, each with "start", "end" and "score".
        largest: The score with the strongest colour; None for the largest one of the words.
    """
    if largest is None:
        largest = max((abs(word["score"]) for word in words), default=0.0)
    scale = largest or 1.0
    parts: list[Any] = []
    end = 0
    for word in words:
        parts.append(text[end : word["start"]])
        parts.append(
            element(
                "mark",
                text[word["start"] : word["end"]],
                class_=f"{'for' if word['score'] > 0 else 'against'} level-{_LEVELS * abs(word['score']) / scale:.0f}",
                title=f"{word['score']:+.4f}",
            )
        )
        end = max(end, word["end"])
    return element("p", join([*parts, text[end:]]), class_="example")
