"""The usual names of columns and keys of tagged texts, however they are capitalized."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

TEXT_NAMES = ("text", "text_a", "sentence", "tokens", "words", "word", "token", "form")
LABEL_NAMES = (
    "label",
    "labels",
    "spans",
    "entities",
    "tags",
    "ner_tags",
    "tag",
    "ner_tag",
    "ner",
    "annotations",
)
_WORD_NAMES = ("word", "words", "token", "tokens", "form")
_SENTENCE = re.compile(r"(sentence|sent)[ _-]?(#|id|idx|index|no|nr|num|number)|sentence:? ?#")


def usual_name(names: Iterable[str], usual: Sequence[str]) -> str | None:
    """The first of the usual names that is there, as it is written there.

    Example:
        >>> usual_name(["Sentence #", "Word", "Tag"], TEXT_NAMES)
        'Word'
    """
    there = {name.strip().lower(): name for name in reversed(list(names))}
    return next((there[name] for name in usual if name in there), None)


def sentence_name(names: Iterable[str]) -> str | None:
    """The column that tells sentences apart, such as "Sentence #" or "sentence_id"; None if there is none."""
    return next((name for name in names if _SENTENCE.fullmatch(name.strip().lower())), None)


def text_name(names: Collection[str]) -> str | None:
    """The column of texts, or of words where another column tells sentences apart."""
    if sentence_name(names) is not None:
        return usual_name(names, _WORD_NAMES) or usual_name(names, TEXT_NAMES)
    return usual_name(names, TEXT_NAMES)


def chosen_columns(columns: Mapping[str, str], names: Collection[str]) -> dict[str, str | None]:
    """The columns "text", "label" and "sentence": those that are named, else the usual ones, else None."""
    return {
        "text": columns.get("text") or text_name(names),
        "label": columns.get("label") or usual_name(names, LABEL_NAMES),
        "sentence": columns.get("sentence") or sentence_name(names),
    }
