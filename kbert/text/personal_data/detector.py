"""The description of a detector of personal data."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator

Find = Callable[[str], Iterator[tuple[int, int]]]
"""A function that yields the places (start, end) of values in a text, in characters, from left to right."""

_ENDS = re.compile("[\n。！？]")


@dataclasses.dataclass(frozen=True)
class Detector:
    """Finds personal data of one kind.

    Args:
        name: The name of the kind, such as "email".
        help: What is found, as a phrase.
        find: Yields the places of the values.
        hint: A pattern that every text with such a value matches. It saves time where most texts have none.
        canonical: Returns the form of a value that is the same for all ways to write it.
    """

    name: str
    help: str
    find: Find
    hint: re.Pattern[str]
    canonical: Callable[[str], str] = str.casefold


def matches(pattern: re.Pattern[str], accept: Callable[[re.Match[str]], bool] | None = None) -> Find:
    """Returns a function that yields the places of the matches of a pattern.

    Args:
        pattern: The pattern.
        accept: Returns whether a match is a value of the kind; the default accepts all.
    """

    def find(text: str) -> Iterator[tuple[int, int]]:
        for match in pattern.finditer(text):
            if accept is None or accept(match):
                yield match.span()

    return find


def letters_and_digits(value: str) -> str:
    """Returns the letters and digits of a value, with capital letters.

    Example:
        >>> letters_and_digits("de89 3704 0044")
        'DE8937040044'
    """
    return "".join(filter(str.isalnum, value)).upper()


def is_preceded_by(words: re.Pattern[str], match: re.Match[str], reach: int = 30) -> bool:
    """Returns whether one of some words is shortly before a match, in the same line or Chinese sentence.

    Args:
        words: The pattern of the words.
        match: The match.
        reach: The number of characters before the match that are searched.
    """
    start = match.start()
    before = match.string[max(0, start - reach) : start]
    return words.search(_ENDS.split(before)[-1]) is not None
