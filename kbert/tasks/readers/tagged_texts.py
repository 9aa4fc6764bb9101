"""Texts with spans or with tags of words, which all formats of tagged data are read as."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from kbert.tasks.readers.tagged_words import word_places


@dataclasses.dataclass(frozen=True)
class Span:
    """A part of a text with a label.

    Args:
        start: The offset of its first character.
        end: The offset after its last character.
        label: The label, also called the type.
    """

    start: int
    end: int
    label: str


@dataclasses.dataclass(frozen=True)
class TaggedText:
    """A text and its spans.

    Args:
        text: The text.
        spans: The spans of the text; None if they are unknown.
        line: The 1-based line where the text starts; 0 for none.
        words: The (start, end) of each word, if the file has words instead of a text.
        tags: The tag of each word, as the file has it; None if the file has no words or no tags.
        per_word: Whether the tags of the file belong to single words, as parts of speech do.
    """

    text: str
    spans: tuple[Span, ...] | None = None
    line: int = 0
    words: tuple[tuple[int, int], ...] = dataclasses.field(default=(), compare=False)
    tags: tuple[str, ...] | None = dataclasses.field(default=None, compare=False)
    per_word: bool = dataclasses.field(default=False, compare=False)


def text_of_words(words: Sequence[str]) -> TaggedText:
    """Returns the text of a list of words, without spans."""
    text, starts, ends = word_places(words)
    return TaggedText(text, None, 0, tuple(zip(starts, ends, strict=True)))
