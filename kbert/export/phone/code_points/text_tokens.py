"""Finds tokens in text as a whole, such as [MASK], in a LiteRT model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from kbert.errors import UsageError
from kbert.export.phone.code_points.double_array import DoubleArray, look_up
from kbert.export.phone.code_points.paths import follow
from kbert.text.added_tokens import Boundary, TextToken, TextTokens


class Found(NamedTuple):
    """The tokens found in N code points."""

    places: tf.Tensor
    """The index of the token that begins at each code point among the tokens searched for, int32 [N]."""
    begins: tf.Tensor
    """Whether a token begins at each code point, bool [N]."""
    inside: tf.Tensor
    """Whether each code point belongs to a token that begins before it, bool [N]."""
    lengths: tf.Tensor
    """The number of code points of the token that begins at each code point, int32 [N]."""


class TextTokenSearch:
    """Finds the leftmost, longest tokens.

    Args:
        tokens: The tokens that are found in text as a whole; None for none.

    Raises:
        UsageError: Some of them are searched for by rules that the search does not have.
    """

    def __init__(self, tokens: TextTokens | None) -> None:
        raw = [] if tokens is None else tokens.raw
        for token in [*raw, *([] if tokens is None else tokens.normalized)]:
            _check(token, is_raw=token in raw)
        self.contents = [token.content for token in raw]
        self.ids = [token.pieces[0][0] for token in raw]
        """The id of each token."""
        self.marks = {c: place for place, c in enumerate(sorted(set("".join(self.contents))), start=1)}
        """The class of each character of the tokens."""
        keys = {tuple(self.marks[c] for c in content): place for place, content in enumerate(self.contents)}
        self._trie = DoubleArray([keys])
        self._found = np.array([token.found for token in raw])
        self._overlap = _may_overlap(self.contents)

    def __call__(self, marks: tf.Tensor) -> Found:
        """Finds tokens in code points of these classes, int32 [N]."""
        count = marks.shape[0]
        nodes = self._trie.find(self._trie.roots[0], marks, marks)
        lengths, places = self._trie.lengths(nodes), self._trie.values(nodes)
        matches = lengths > 0
        positions = tf.range(count)
        if self._overlap:
            steps = tf.concat([tf.minimum(positions + tf.maximum(lengths, 1), count), [count]], 0)
            reached, _ = follow(tf.one_hot(0, count + 1, dtype=tf.int32), steps, count)
            matches &= reached[:count] > 0
        if not self._found.all():
            matches &= look_up(self._found.astype(np.uint8), places) > 0
        begins = tf.cast(matches, tf.int32)
        ends = tf.scatter_nd((positions + lengths)[:, None], begins, [count + 1])[:count]
        inside = (tf.cumsum(begins - ends) > 0) & ~matches
        return Found(places, matches, inside, lengths)


def _check(token: TextToken, *, is_raw: bool) -> None:
    """Checks that a token is searched for as it is written, next to any characters.

    Raises:
        UsageError: It is not.
    """
    if is_raw and token.boundary is Boundary.ANY and not (token.lstrip or token.rstrip) and len(token.pieces) == 1:
        return
    raise UsageError(
        "expected a tokenizer whose added tokens are found anywhere in text as they are written (normalized, "
        "single_word, lstrip and rstrip are false, and never_split is empty). Received the added token "
        f"{token.content!r}; use --input tokens"
    )


def _may_overlap(contents: Sequence[str]) -> bool:
    """Returns whether a token can begin within another one."""
    beginnings = {content[:length] for content in contents for length in range(1, len(content) + 1)}
    known = set(contents)
    for content in contents:
        for start in range(1, len(content)):
            rest = content[start:]
            if rest in beginnings or any(rest[:length] in known for length in range(1, len(rest) + 1)):
                return True
    return False
