"""Splits code points into tokens with operations that are built into LiteRT."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from kbert.export.phone.code_points.character_table import UNKNOWN, CharacterTable, Normalized
from kbert.export.phone.code_points.final_sigma import Casing, casings, stands_last
from kbert.export.phone.code_points.replacements import known_replacements
from kbert.export.phone.code_points.text_tokens import TextTokenSearch
from kbert.export.phone.code_points.word_pieces import Pieces, WordPieces
from kbert.text.replacement_table import SIGMA
from kbert.text.tokenizer import Tokenizer

_SEPARATORS = ("\n", "\u2028", "\u2029", "\u2000", "\u2001")


class Tokens(NamedTuple):
    """The tokens of a text, or of two texts one after the other, with N code points and fewer than C characters."""

    pieces: Pieces
    """The pieces of the characters; the first entry behind them is a piece too."""
    order: tf.Tensor
    """The character at which each token begins, int32 [C], then the place behind the last character."""
    origins: tf.Tensor
    """The code point that each character comes from, int32 [C]."""
    ends: tf.Tensor
    """The code point after those that the characters of each code point stand for, int32 [N]."""
    first: tf.Tensor
    """The number of tokens of the first text, int32 []."""
    second: tf.Tensor
    """The number of tokens of the second text, int32 []."""


class CodePointTokenizer:
    """Tokenizes a text or a pair. The ids and offsets are those of the tokenizer.

    All shapes are static. All operations are built into LiteRT, without strings and control flow, so that the model
    runs wherever LiteRT does. The tables of characters and pieces are constants of the graph.

    Args:
        tokenizer: The tokenizer.

    Raises:
        UsageError: The tokenizer has added tokens with rules that the graph does not have.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.vocabulary = tokenizer.vocabulary
        settings = tokenizer.settings
        self._search = TextTokenSearch(tokenizer.text_tokens)
        replacements = known_replacements(settings.lowercase, settings.strips_accents, settings.chinese_characters)
        self._pieces = WordPieces(self.vocabulary, replacements, settings.max_word_length, self._search.ids)
        classes = self._pieces.classes
        # The final sigma matters if the vocabulary tells the two forms apart.
        final = classes.get("ς", UNKNOWN)
        self._final_sigma = final if settings.lowercase and final != classes.get("σ", UNKNOWN) else None
        casing = {} if self._final_sigma is None else casings()
        self._table = CharacterTable(replacements, classes, casing, self._search.marks)
        # White space between two texts, which is not part of any token.
        self._separator = next(ord(c) for c in _SEPARATORS if c not in self._search.marks)

    def __call__(self, code_points: tf.Tensor, code_points_pair: tf.Tensor | None = None) -> Tokens:
        """Splits a text, int32 [N], or a pair, int32 [N] and int32 [M].

        The code points of the pair are numbered from N + 1.
        """
        length = code_points.shape[0]
        if code_points_pair is not None:
            code_points = tf.concat([code_points, [self._separator], code_points_pair], 0)
        normalized, ends = self._normalize(code_points)
        classes, words, origins = self._characters(normalized)
        is_first = tf.not_equal(words, tf.concat([[-1], words[:-1]], 0))
        pieces = self._pieces.split(classes, is_first)
        begins = tf.cast(pieces.begins, tf.int32)
        ranks = tf.cumsum(begins)
        size = classes.shape[0]
        order = tf.scatter_nd(tf.where(pieces.begins, ranks - 1, size)[:, None], tf.range(size), [size + 1])
        # The entry behind the characters counts as one piece, which is none of the tokens.
        total = first = ranks[-1] - 1
        if code_points_pair is not None:
            characters = tf.reduce_sum(normalized.counts[:length])
            first = tf.gather(ranks - begins, characters)
        return Tokens(pieces, order[:size], origins, ends, first, total - first)

    def ids(self, tokens: Tokens, places: tf.Tensor) -> tf.Tensor:
        """Returns the ids of the tokens that begin at the characters `places`, int32."""
        return self._pieces.ids(tokens.pieces, places)

    def _normalize(self, code_points: tf.Tensor) -> tuple[Normalized, tf.Tensor]:
        """Returns what normalization makes of code points, int32 [N], and `Tokens.ends`."""
        normalized = self._table(code_points)
        classes, counts, before, after, casing, mark = normalized
        ends = tf.range(1, code_points.shape[0] + 1)
        if self._search.ids:
            # A placeholder of one character stands for a token. The other code points of the token are dropped.
            found = self._search(mark)
            begins, inside = found.begins, found.inside
            counts, before, after = (tf.where(begins, 1, tf.where(inside, 0, each)) for each in (counts, before, after))
            casing = tf.where(begins, Casing.OTHER, tf.where(inside, Casing.IGNORED, casing))
            placeholders = self._pieces.first_placeholder + found.places
            classes = tf.where(begins[:, None], placeholders[:, None], classes)
            ends = tf.where(begins, ends - 1 + found.lengths, ends)
        if self._final_sigma is not None:
            final = tf.equal(code_points, ord(SIGMA)) & stands_last(casing)
            classes = tf.where(final[:, None], self._final_sigma, classes)
        return Normalized(classes, counts, before, after, casing, mark), ends

    def _characters(self, normalized: Normalized) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns the class, the number of the word and the code point of each character, int32 [C].

        The classes and words behind the characters, where at least one entry is, are 0. Words have other numbers.
        """
        count, width = normalized.classes.shape
        words = tf.cumsum(normalized.before + normalized.after) - normalized.after + 1
        # The place of each character. One more place is behind the characters, and one gets what is unused.
        size = count * width
        steps = np.arange(width)[None]
        begins = tf.cumsum(normalized.counts) - normalized.counts
        places = tf.where(normalized.counts[:, None] > steps, begins[:, None] + steps, size + 1)
        values = [normalized.classes, *(tf.tile(each[:, None], [1, width]) for each in (words, tf.range(count)))]
        rows = tf.stack([tf.reshape(each, [size]) for each in values], 1)
        placed = tf.scatter_nd(tf.reshape(places, [size, 1]), rows, [size + 2, 3])[: size + 1]
        classes, words, origins = tf.unstack(placed, axis=1)
        return classes, words, origins
