"""WordPiece for a LiteRT model: splits all words into pieces at the same time."""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from kbert.export.phone.code_points.character_table import FIRST_CLASS, NO_CHARACTER
from kbert.export.phone.code_points.double_array import DoubleArray, Key
from kbert.export.phone.code_points.paths import follow
from kbert.export.phone.code_points.replacements import Replacements
from kbert.text.vocabulary import CONTINUATION, Vocabulary


class Pieces(NamedTuple):
    """Where pieces begin in N characters."""

    begins: tf.Tensor
    """Whether a piece begins at each character, bool [N]."""
    nodes: tf.Tensor
    """The node of the longest piece at each character, int32 [N]."""
    unknown: tf.Tensor
    """Whether the piece at each character is [UNK], bool [N]."""


class WordPieces:
    """Splits words into pieces.

    The longest piece at each character is found for all characters. Then all words are followed from piece to piece.

    Args:
        vocabulary: The vocabulary.
        replacements: What normalization makes of each code point. Pieces that it never writes are left out.
        max_word_length: The length in characters above which a word becomes [UNK].
        placeholders: The ids of tokens that are found in text as a whole. Each has a class of its own.
    """

    def __init__(
        self, vocabulary: Vocabulary, replacements: Replacements, max_word_length: int, placeholders: Sequence[int]
    ) -> None:
        begin, further = {}, {}
        for piece, index in vocabulary.piece_ids.items():
            if piece and replacements.can_write(piece):
                begin[piece] = index
            body = piece.removeprefix(CONTINUATION)
            if body and body != piece and replacements.can_write(body):
                further[body] = index
        # Frequent characters get the first classes, which makes the arrays of the trie shorter.
        frequencies = collections.Counter(character for piece in (*begin, *further) for character in piece)
        self.classes = {
            character: place for place, (character, _) in enumerate(frequencies.most_common(), start=FIRST_CLASS)
        }
        """The class of each character that pieces contain."""
        self.first_placeholder = FIRST_CLASS + len(self.classes)
        """The class of the first placeholder."""
        words = {self._key(piece): index for piece, index in begin.items()}
        words |= {(self.first_placeholder + place,): index for place, index in enumerate(placeholders)}
        self._trie = DoubleArray([words, {self._key(body): index for body, index in further.items()}])
        self._unk_id = vocabulary.unk_id
        self._max_word_length = max_word_length

    def _key(self, piece: str) -> Key:
        return tuple(self.classes[character] for character in piece)

    def split(self, classes: tf.Tensor, is_first: tf.Tensor) -> Pieces:
        """Splits words.

        Args:
            classes: The classes of the characters of all words, int32 [N]. After them, at least one entry is
                NO_CHARACTER, which counts as a word of its own, and becomes [UNK].
            is_first: Whether each character is the first one of a word, bool [N].
        """
        count = classes.shape[0]
        roots = tf.where(is_first, *self._trie.roots)
        nodes = self._trie.find(roots, classes, tf.where(is_first, NO_CHARACTER, classes))
        lengths = self._trie.lengths(nodes)
        first = tf.cast(is_first, tf.int32)
        stuck = lengths == 0
        longest_word = min(self._max_word_length, count - 1)
        if self._max_word_length < count:
            # A word is too long if no other one begins in the characters behind the largest length.
            words = tf.cumsum(first)
            end = tf.concat([words[self._max_word_length :], tf.fill([self._max_word_length], count + 1)], 0)
            stuck |= is_first & tf.equal(words, end)
        # Paths end at the position `complete` where the next word begins, and at `incomplete` where no piece fits.
        complete, incomplete = count, count + 1
        following = tf.range(count) + lengths
        at_end = tf.gather(tf.concat([first, [1]], 0), following) > 0
        steps = tf.where(stuck, incomplete, tf.where(at_end, complete, following))
        reached, ends = follow(
            tf.concat([first, [0, 0]], 0), tf.concat([steps, [complete, incomplete]], 0), longest_word
        )
        unknown = tf.equal(ends[:count], incomplete)
        begins = is_first | ((reached[:count] > 0) & ~unknown)
        return Pieces(begins, nodes, unknown)

    def ids(self, pieces: Pieces, places: tf.Tensor) -> tf.Tensor:
        """Returns the ids of the pieces that begin at `places`, int32."""
        found = self._trie.values(tf.gather(pieces.nodes, places))
        return tf.where(tf.gather(pieces.unknown, places), self._unk_id, found)
