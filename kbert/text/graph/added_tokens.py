"""Finds tokens in text as a whole (see `kbert.text.added_tokens`) with TensorFlow operations on code points."""

from __future__ import annotations

import functools
import sys
import unicodedata
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from kbert.text.added_tokens import (
    FILL,
    Boundary,
    TextToken,
    TextTokens,
    is_connector,
    is_white_space,
    is_word,
)
from kbert.text.graph.code_points import changing_code_points, unified_ideographs
from kbert.text.graph.normalization import PagedTable
from kbert.text.graph.token_search import Matches, RegexSearch, TrieSearch
from kbert.text.replacement_table import SPACE, is_cjk, is_punctuation, is_whitespace

# The properties of a character, as bits.
_WORD, _CONNECTOR, _WHITE_SPACE, _SEPARATOR, _PUNCTUATION = 1, 2, 4, 8, 16


class Sources(NamedTuple):
    """The origins of characters: character i comes from the code points [starts[i], ends[i]); int32 [N] each.

    Characters and code points are numbered over all rows.
    """

    starts: tf.Tensor
    ends: tf.Tensor

    def at(self, indices: tf.Tensor) -> Sources:
        """Returns the origins of the characters at `indices`."""
        return Sources(tf.gather(self.starts, indices), tf.gather(self.ends, indices))

    def updated(self, indices: tf.Tensor, starts: tf.Tensor, ends: tf.Tensor) -> Sources:
        """Returns the origins with other values for the characters at `indices`."""
        return Sources(_update(self.starts, indices, starts), _update(self.ends, indices, ends))


class GraphTextTokens:
    """Replaces tokens in code points by placeholders.

    Args:
        tokens: The tokens to find.
        core: Whether the operations are those of TensorFlow alone, and not of TensorFlow Text.
    """

    def __init__(self, tokens: TextTokens, *, core: bool = False) -> None:
        self._tokens = tokens
        self._flags = _flags(tokens.chinese_characters)
        self._raw, self._normalized = (
            _Finder(each, self._flags, normalized=normalized, core=core) if each else None
            for each, normalized in ((tokens.raw, False), (tokens.normalized, True))
        )
        pieces = list(tokens.pieces.values())
        # The pieces of each token: their ids, and their starts in the token.
        self.piece_rows = np.cumsum([0, *map(len, pieces)])
        self.piece_ids = np.array([index for row in pieces for index, _ in row], np.int32)
        self.piece_starts = np.array([start for row in pieces for _, start in row], np.int32)

    def places(self, characters: tf.Tensor) -> tf.Tensor:
        """Returns the index of the placeholder that each character is, int32 [N]; -1 for other characters."""
        places = characters - self._tokens.base
        return tf.where((places >= 0) & (places < len(self._tokens.placeholders)), places, -1)

    def hide(self, code_points: tf.RaggedTensor) -> tuple[tf.RaggedTensor, Sources]:
        """Replaces tokens in code points, RaggedTensor int32 [B, N], by placeholders, without a change of length.

        Returns:
            The code points with placeholders, and the origin of each of them.
        """
        flat = code_points.flat_values
        flat = tf.where(self.places(flat) >= 0, ord(self._tokens.unspellable), flat)
        code_points = code_points.with_flat_values(flat)
        sources = Sources(tf.range(tf.size(flat)), tf.range(tf.size(flat)) + 1)
        if self._raw is None:
            return code_points, sources
        matches = self._raw.find(code_points)
        starts, ends = self._raw.with_white_space(matches, matches.starts, matches.ends, code_points)
        flat = tf.where(_covered(starts, ends, tf.size(flat)), ord(FILL), flat)
        flat = _update(flat, matches.starts, self._tokens.base + matches.places)
        return code_points.with_flat_values(flat), sources.updated(matches.starts, starts, ends)

    def hide_normalized(
        self, characters: tf.RaggedTensor, sources: Sources, code_points: tf.RaggedTensor
    ) -> tuple[tf.RaggedTensor, Sources]:
        """Replaces tokens in normalized characters by placeholders, without a change of length.

        Args:
            characters: The normalized characters, RaggedTensor int32 [B, N].
            sources: The origins of the characters in `code_points`.
            code_points: The code points of the text, RaggedTensor int32 [B, M].

        Returns:
            The characters with placeholders, and the origin of each of them.
        """
        if self._normalized is None:
            return characters, sources
        matches = self._normalized.find(characters)
        starts, ends = self._normalized.with_white_space(
            matches, tf.gather(sources.starts, matches.starts), tf.gather(sources.ends, matches.ends - 1), code_points
        )
        flat = characters.flat_values
        flat = tf.where(_covered(matches.starts, matches.ends, tf.size(flat)), ord(SPACE), flat)
        flat = _update(flat, matches.starts, self._tokens.base + len(self._tokens.raw) + matches.places)
        return characters.with_flat_values(flat), sources.updated(matches.starts, starts, ends)


class _Finder:
    """Finds the leftmost, longest tokens in rows of characters.

    Args:
        tokens: The tokens to search for.
        flags: The properties of each character.
        normalized: Whether the characters are normalized.
        core: Whether the operations are those of TensorFlow alone.
    """

    def __init__(self, tokens: list[TextToken], flags: PagedTable, *, normalized: bool, core: bool) -> None:
        self._flags = flags
        self._is_normalized = normalized
        contents = [token.content for token in tokens]
        self._search = TrieSearch(contents) if core else RegexSearch(contents)
        self._found = np.array([token.found for token in tokens])
        self._no_word = np.array([token.boundary is Boundary.NO_WORD for token in tokens])
        self._space = np.array([token.boundary is Boundary.SPACE for token in tokens])
        self._lstrip = np.array([token.lstrip for token in tokens])
        self._rstrip = np.array([token.rstrip for token in tokens])
        self._own_space = {
            -1: np.array([token.space_before for token in tokens]),
            1: np.array([token.space_after for token in tokens]),
        }

    def find(self, characters: tf.RaggedTensor) -> Matches:
        matches = self._search(characters)
        matches = matches.where(tf.gather(self._found, matches.places))
        if not any(kind.any() for kind in (self._no_word, self._space, *self._own_space.values())):
            return matches
        return matches.where(self._bounded(matches, characters))

    def _bounded(self, matches: Matches, characters: tf.RaggedTensor) -> tf.Tensor:
        """Returns whether the characters before and after each match are allowed there, bool [K]."""
        flat = characters.flat_values
        first, limit = _row_bounds(characters, matches.starts)
        flags = self._flags(flat)

        def beside(step: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            """Returns three flags for each match, about its neighbour before (step -1) or after it (step 1).

            The flags say whether this character belongs to a word, whether it separates words, and whether the space
            at this edge of the match, if there is one, is from the text and not from normalization.
            """

            def at(distance: int, values: tf.Tensor, edge: int) -> tf.Tensor:
                index = matches.ends + distance - 1 if step > 0 else matches.starts - distance
                inside = (index >= first) & (index < limit)
                return tf.where(inside, tf.gather(values, tf.where(inside, index, 0)), edge)

            near = at(1, flags, _SEPARATOR)
            is_word = near & _WORD > 0
            if self._is_normalized:  # normalization inserts spaces next to punctuation, so look past them
                is_word |= (at(1, flat, 0) == ord(SPACE)) & (at(2, flags, 0) & _CONNECTOR > 0)
            own_space = (near & _PUNCTUATION == 0) | ~tf.gather(self._own_space[step], matches.places)
            return is_word, near & _SEPARATOR > 0, own_space

        before, after = beside(-1), beside(1)
        no_word = ~before[0] & ~after[0] | ~tf.gather(self._no_word, matches.places)
        space = before[1] & after[1] | ~tf.gather(self._space, matches.places)
        return no_word & space & before[2] & after[2]

    def with_white_space(
        self, matches: Matches, starts: tf.Tensor, ends: tf.Tensor, code_points: tf.RaggedTensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Extends the ranges of matches in the text by the white space that belongs to them.

        Args:
            matches: The matches.
            starts: The start of each match in the code points, int32 [K].
            ends: The end of each match in the code points, int32 [K].
            code_points: The code points of the text.

        Returns:
            The starts and ends, int32 [K] each.
        """
        if not (self._lstrip.any() or self._rstrip.any()):
            return starts, ends
        others = tf.cast(tf.where(self._flags(code_points.flat_values) & _WHITE_SPACE == 0)[:, 0], tf.int32)
        first, limit = _row_bounds(code_points, starts)
        next_other = tf.gather(
            tf.concat([others, [tf.size(code_points.flat_values)]], 0), tf.searchsorted(others, ends)
        )
        ends = tf.where(tf.gather(self._rstrip, matches.places), tf.minimum(next_other, limit), ends)
        behind_other = tf.gather(tf.concat([[-1], others], 0), tf.searchsorted(others, starts)) + 1
        first = tf.maximum(first, tf.concat([[0], ends], 0)[:-1])
        starts = tf.where(tf.gather(self._lstrip, matches.places), tf.maximum(behind_other, first), starts)
        return starts, ends


@functools.cache
def _flags(chinese_characters: bool) -> PagedTable:
    flags = np.zeros(sys.maxunicode + 1, np.int32)
    ideographs = unified_ideographs()
    flags[ideographs] = _SEPARATOR * chinese_characters
    assigned = ideographs[[unicodedata.category(chr(each)) != "Cn" for each in ideographs.tolist()]]
    flags[assigned] |= _WORD
    for code_point in changing_code_points().tolist():
        character = chr(code_point)
        separates = is_whitespace(character) or (chinese_characters and is_cjk(code_point))
        flags[code_point] = (
            _WORD * is_word(character)
            + _CONNECTOR * is_connector(character)
            + _WHITE_SPACE * is_white_space(character)
            + _SEPARATOR * separates
            + _PUNCTUATION * is_punctuation(character)
        )
    return PagedTable(flags)


def _row_bounds(rows: tf.RaggedTensor, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the start and limit of the rows that contain the flat values at `indices`; int32."""
    splits = tf.cast(rows.row_splits, tf.int32)
    row = tf.searchsorted(splits, indices, side="right")
    return tf.gather(splits, row - 1), tf.gather(splits, row)


def _covered(starts: tf.Tensor, ends: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Returns whether each of `count` characters is in one of the ranges, which do not overlap; bool [count]."""
    edges = tf.concat([starts, ends], 0)[:, None]
    steps = tf.concat([tf.ones_like(starts), -tf.ones_like(ends)], 0)
    return tf.cumsum(tf.scatter_nd(edges, steps, [count + 1]))[:-1] > 0


def _update(values: tf.Tensor, indices: tf.Tensor, updates: tf.Tensor) -> tf.Tensor:
    return tf.tensor_scatter_nd_update(values, indices[:, None], updates)
