"""A table that normalizes code points to classes of characters, small enough for a LiteRT model."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from kbert.export.phone.code_points.double_array import look_up, narrow
from kbert.export.phone.code_points.replacements import Replacements
from kbert.text.graph.code_points import unified_ideographs

NO_CHARACTER = 0
"""The class that no character has."""
UNKNOWN = 1
"""The class of characters that no piece of the vocabulary contains."""
FIRST_CLASS = 2
"""The first class of a character that the vocabulary contains."""

_PAGE = 256


class Normalized(NamedTuple):
    """What normalization makes of N code points; int32."""

    classes: tf.Tensor
    """The classes of the characters that replace each code point, [N, K], of which the first `counts` are used."""
    counts: tf.Tensor
    """The number of characters that replace each code point, [N]."""
    before: tf.Tensor
    """1 where a word ends before the characters, [N]."""
    after: tf.Tensor
    """1 where a word ends after the characters, [N]."""
    casing: tf.Tensor
    """The `Casing` of each code point, [N]."""
    mark: tf.Tensor
    """The class of each code point in the tokens that are found in text as a whole, [N]; 0 for other code points."""


class CharacterTable:
    """Normalizes code points.

    The table has three levels: code point → page of 256 entries → kind → the row of this kind. Equal pages are stored
    once, and code points with equal rows are of one kind.

    Args:
        replacements: What normalization makes of each code point.
        classes: The class of each character that pieces of the vocabulary contain, at least FIRST_CLASS.
        casings: The `Casing` of code points; that of others is 0.
        marks: The class of each character that tokens in text contain, at least 1.
    """

    def __init__(
        self,
        replacements: Replacements,
        classes: Mapping[str, int],
        casings: Mapping[int, int],
        marks: Mapping[str, int],
    ) -> None:
        kinds: dict[tuple[tuple[int, ...], tuple[int, ...]], int] = {}

        def kind(known: tuple[int, ...], *others: int) -> int:
            return kinds.setdefault((known, others), len(kinds))

        def kind_of(code_point: int) -> int:
            characters, before, after = replacements.of(code_point)
            known = tuple(classes.get(character, UNKNOWN) for character in characters)
            # A word with an unknown character is unknown as a whole, so that one character is enough.
            known = (UNKNOWN,) if UNKNOWN in known else known
            return kind(known, before, after, casings.get(code_point, 0), marks.get(chr(code_point), 0))

        entries = np.full(sys.maxunicode + 1, kind((UNKNOWN,), 0, 0, 0, 0), np.int64)
        ideographs = unified_ideographs()
        alone = replacements.of(int(ideographs[0])).before
        entries[ideographs] = kind((UNKNOWN,), alone, alone, 0, 0)
        for code_point in [*replacements.of_code_points, *map(ord, {*classes, *marks})]:
            entries[code_point] = kind_of(code_point)

        self.width = max(len(known) for known, _ in kinds)
        """The largest number of characters that replace a code point, K."""
        rows = [(*known, *[NO_CHARACTER] * (self.width - len(known)), len(known), *others) for known, others in kinds]
        self._rows = narrow(np.array(rows))
        pages: dict[bytes, int] = {}
        places = [pages.setdefault(page.tobytes(), len(pages)) for page in entries.reshape(-1, _PAGE)]
        self._entries = narrow(np.concatenate([np.frombuffer(page, entries.dtype) for page in pages]))
        # What to add to a code point to get its entry.
        self._shifts = ((np.array(places) - np.arange(len(places))) * _PAGE).astype(np.int32)

    def __call__(self, code_points: tf.Tensor) -> Normalized:
        """Normalizes code points, int32 [N]. Numbers that are no code points count as U+0000, which is dropped."""
        valid = (code_points >= 0) & (code_points <= sys.maxunicode)
        code_points = tf.where(valid, code_points, 0)
        kinds = look_up(self._entries, look_up(self._shifts, code_points // _PAGE) + code_points)
        columns = tf.unstack(look_up(self._rows, kinds), axis=1)
        return Normalized(tf.stack(columns[: self.width], 1), *columns[self.width :])
