"""What normalization makes of each code point, in the form in which a table of a LiteRT model has it."""

from __future__ import annotations

import functools
from typing import NamedTuple

from kbert.text.graph.code_points import changing_code_points, unified_ideographs
from kbert.text.replacement_table import SPACE, ReplacementTable


class Replacement(NamedTuple):
    """The characters that replace a code point, and whether a word ends before and after them."""

    characters: str
    before: bool
    after: bool

    @classmethod
    def of(cls, text: str) -> Replacement:
        """Returns the parts of an entry of a `ReplacementTable`, in which spaces separate words."""
        characters = text.strip(SPACE)
        if SPACE in characters:
            raise ValueError(f"expected spaces only at the ends of a replacement. Received: {text!r}")
        # A replacement without characters is a space, or nothing.
        return cls(characters, text.startswith(SPACE), bool(characters) and text.endswith(SPACE))


class Replacements:
    """The replacements of all code points.

    Args:
        lowercase: Whether to lower-case text.
        strip_accents: Whether to strip accents.
        chinese_characters: Whether to make each CJK ideograph a word.
    """

    def __init__(self, lowercase: bool, strip_accents: bool, chinese_characters: bool) -> None:
        self._table = ReplacementTable(lowercase, strip_accents=strip_accents, chinese_characters=chinese_characters)
        self._separates_ideographs = chinese_characters
        self.of_code_points = {each: self._of(each) for each in changing_code_points().tolist()}
        """The replacements of the code points that normalization may change."""
        self._ideographs = frozenset(unified_ideographs().tolist())
        # The characters that normalization writes into words, and those that it makes words of their own.
        self._inside: set[str] = set()
        self._alone: set[str] = set()
        for characters, before, after in self.of_code_points.values():
            (self._alone if before or after else self._inside).update(characters)

    def of(self, code_point: int) -> Replacement:
        """Returns the replacement of a code point."""
        return self.of_code_points.get(code_point) or self._of(code_point)

    def can_write(self, piece: str) -> bool:
        """Returns whether normalization can write a piece into a word."""
        return all(map(self._is_inside, piece)) or (len(piece) == 1 and self._is_alone(piece))

    def _of(self, code_point: int) -> Replacement:
        return Replacement.of(self._table[code_point])

    def _is_inside(self, character: str) -> bool:
        if ord(character) in self.of_code_points:
            return character in self._inside
        return character in self._inside or not (self._separates_ideographs and ord(character) in self._ideographs)

    def _is_alone(self, character: str) -> bool:
        return character in self._alone or (self._separates_ideographs and ord(character) in self._ideographs)


@functools.cache
def known_replacements(lowercase: bool, strip_accents: bool, chinese_characters: bool) -> Replacements:
    """Returns the replacements for these settings, computed once per process, since this takes a second."""
    return Replacements(lowercase, strip_accents, chinese_characters)
