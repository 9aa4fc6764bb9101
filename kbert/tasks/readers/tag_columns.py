"""The usual names of columns and keys of tagged texts, in any capitalization."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

WHOLE_TEXT_NAMES = ("text", "text_a", "sentence")
TEXT_NAMES = (*WHOLE_TEXT_NAMES, "tokens", "words", "word", "token", "form")
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
    "pos_tags",
    "upos",
    "pos",
    "xpos",
)
_WORD_NAMES = ("word", "words", "token", "tokens", "form")
_SENTENCE = re.compile(r"(sentence|sent)[ _-]?(#|id|idx|index|no|nr|num|number)|sentence:? ?#")


def usual_name(names: Iterable[str], usual: Sequence[str]) -> str | None:
    """Returns the first of the usual names that is among `names`, in the spelling of `names`; None if there is none.

    Example:
        >>> usual_name(["Sentence #", "Word", "Tag"], TEXT_NAMES)
        'Word'
    """
    there = {name.strip().lower(): name for name in reversed(list(names))}
    return next((there[name] for name in usual if name in there), None)


def sentence_name(names: Iterable[str]) -> str | None:
    """Returns the column that identifies sentences, such as "Sentence #" or "sentence_id"; None if there is none."""
    return next((name for name in names if _SENTENCE.fullmatch(name.strip().lower())), None)


def text_name(names: Collection[str]) -> str | None:
    """Returns the column of texts, or of words if another column identifies sentences; None if there is none."""
    if sentence_name(names) is not None:
        return usual_name(names, _WORD_NAMES) or usual_name(names, TEXT_NAMES)
    return usual_name(names, TEXT_NAMES)


def chosen_columns(columns: Mapping[str, str], names: Collection[str]) -> dict[str, str | None]:
    """Returns the columns of the roles "text", "label" and "sentence": the given ones, else usual names, else None.

    Args:
        columns: The columns that the user gave, by role.
        names: The names of the columns in the file.
    """
    return {
        "text": columns.get("text") or text_name(names),
        "label": columns.get("label") or usual_name(names, LABEL_NAMES),
        "sentence": columns.get("sentence") or sentence_name(names),
    }
