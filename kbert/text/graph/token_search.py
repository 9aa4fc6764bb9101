"""Searches for tokens in characters: an operation of TensorFlow Text, or operations of TensorFlow alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text

from kbert.text.graph.trie import CodePointTrie

_HASHES = 2**63 - 1


class Matches(NamedTuple):
    """The tokens found, at [starts[k], ends[k]) of the characters of all rows; int32 [K] each."""

    starts: tf.Tensor
    ends: tf.Tensor
    places: tf.Tensor
    """The index of each match's token among the tokens searched for."""

    def where(self, condition: tf.Tensor) -> Matches:
        """Returns the matches for which a condition is true, bool [K]."""
        return Matches(*(tf.boolean_mask(part, condition) for part in self))


class RegexSearch:
    """Finds the leftmost, longest tokens by the regular expressions of TensorFlow Text.

    Args:
        contents: The tokens.
    """

    def __init__(self, contents: Sequence[str]) -> None:
        self._pattern = "|".join(_escape(content) for content in sorted(contents, key=len, reverse=True))
        # A string is looked up by its hash, and then compared.
        self._contents = [content.encode("utf-8") for content in contents]
        with tf.init_scope():
            hashes = tf.strings.to_hash_bucket_fast(self._contents, _HASHES).numpy()
        self._by_hash = np.argsort(hashes).astype(np.int32)
        self._hashes = hashes[self._by_hash]

    def __call__(self, characters: tf.RaggedTensor) -> Matches:
        """Returns the matches in rows of characters, RaggedTensor int32 [B, None]."""
        flat = characters.flat_values
        # regex_split ends a string at a NUL, so NULs are replaced.
        texts = tf.strings.unicode_encode(characters.with_flat_values(tf.where(flat == 0, 1, flat)), "UTF-8")
        parts = tf_text.regex_split(texts, self._pattern, self._pattern).flat_values
        lengths = tf.strings.length(parts, unit="UTF8_CHAR")
        ends = tf.cumsum(lengths)
        hashed = tf.searchsorted(self._hashes, tf.strings.to_hash_bucket_fast(parts, _HASHES))
        places = tf.gather(self._by_hash, tf.minimum(hashed, len(self._hashes) - 1))
        return Matches(ends - lengths, ends, places).where(tf.gather(self._contents, places) == parts)


class TrieSearch:
    """Finds the leftmost, longest tokens by operations of TensorFlow alone.

    Args:
        contents: The tokens.
    """

    def __init__(self, contents: Sequence[str]) -> None:
        self._trie = CodePointTrie([{content: place for place, content in enumerate(contents)}])

    def __call__(self, characters: tf.RaggedTensor) -> Matches:
        """Returns the matches in rows of characters, RaggedTensor int32 [B, None]."""
        flat = characters.flat_values
        splits = tf.cast(characters.row_splits, tf.int32)
        limits = tf.gather(splits[1:], characters.value_rowids())
        lengths, places = self._trie.longest(flat, limits, tf.zeros_like(flat))
        starts = tf.cast(tf.where(lengths > 0)[:, 0], tf.int32)
        matches = Matches(starts, starts + tf.gather(lengths, starts), tf.gather(places, starts))
        return matches.where(_leftmost(matches, splits))


def _leftmost(matches: Matches, splits: tf.Tensor) -> tf.Tensor:
    """Returns which matches remain if each removes those that begin within it, from left to right; bool [K].

    Args:
        matches: The longest match at each character where one begins.
        splits: The matches of row i begin in the characters [splits[i], splits[i + 1]), int32 [B + 1].
    """
    # The first match of each row, and for each match the first one of its row that begins after it.
    row_limits = tf.searchsorted(matches.starts, splits[1:])
    following = tf.searchsorted(matches.starts, matches.ends)
    limits = tf.gather(row_limits, tf.searchsorted(splits, matches.starts, side="right") - 1)
    first = tf.searchsorted(matches.starts, splits[:-1])
    first = tf.boolean_mask(first, first < row_limits)

    def step(places: tf.Tensor, kept: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        kept = tf.tensor_scatter_nd_update(kept, places[:, None], tf.ones_like(places, tf.bool))
        further = tf.gather(following, places)
        return tf.boolean_mask(further, further < tf.gather(limits, places)), kept

    unknown = tf.TensorShape([None])
    _, kept = tf.while_loop(
        lambda places, _: tf.size(places) > 0,
        step,
        (first, tf.zeros_like(matches.starts, tf.bool)),
        shape_invariants=(unknown, unknown),
    )
    return kept


def _escape(text: str) -> str:
    """Returns a regular expression of RE2 that matches `text` literally."""
    return "".join(c if c.isascii() and c.isalnum() else f"\\x{{{ord(c):x}}}" for c in text)
