"""WordPiece in a TensorFlow graph: an operation of TensorFlow Text, or operations of TensorFlow alone."""

from __future__ import annotations

from typing import Protocol

import tensorflow as tf
import tensorflow_text as tf_text

from kbert.text.added_tokens import unspellable_character
from kbert.text.graph.trie import CodePointTrie
from kbert.text.vocabulary import CONTINUATION, UNK, Vocabulary


class GraphWordPiece(Protocol):
    """Splits words into pieces."""

    def pieces(self, words: tf.RaggedTensor) -> tf.RaggedTensor:
        """Returns the ids of the pieces of words.

        Args:
            words: The code points of each word, int32 [W, None]. No word is empty.

        Returns:
            The ids, RaggedTensor int32 [W, None].
        """

    def pieces_with_starts(self, words: tf.RaggedTensor) -> tuple[tf.RaggedTensor, tf.Tensor]:
        """Returns the ids of the pieces of words, and the start of each piece in its word in characters, int32 [N]."""


class TextWordPiece:
    """WordPiece as the operation of TensorFlow Text.

    Args:
        vocabulary: The vocabulary.
        max_word_length: The length in characters above which a word becomes [UNK].
        max_word_bytes: The length in bytes of UTF-8 above which a word becomes [UNK]; None if there is no such limit.
    """

    def __init__(self, vocabulary: Vocabulary, max_word_length: int, max_word_bytes: int | None = None) -> None:
        self._max_word_length = max_word_length
        self._max_word_bytes = max_word_bytes
        self._unspellable = unspellable_character(vocabulary)
        self._operation = tf_text.FastWordpieceTokenizer(
            vocab=vocabulary.distinct_pieces,
            suffix_indicator=CONTINUATION,
            # This limit counts bytes; `_spellings` applies the limits of the settings.
            max_bytes_per_word=4 * (max_word_length + 1),
            token_out_type=tf.int32,
            unknown_token=UNK,
            no_pretokenization=True,
        )

    def pieces(self, words: tf.RaggedTensor) -> tf.RaggedTensor:
        """Returns the ids of the pieces of words."""
        return self._operation.tokenize(self._spellings(words))

    def pieces_with_starts(self, words: tf.RaggedTensor) -> tuple[tf.RaggedTensor, tf.Tensor]:
        """Returns the ids of the pieces of words, and the start of each piece in its word."""
        pieces, byte_starts, _ = self._operation.tokenize_with_offsets(self._spellings(words))
        return pieces, self._character_starts(words, pieces, tf.cast(byte_starts.flat_values, tf.int32))

    def _spellings(self, words: tf.RaggedTensor) -> tf.Tensor:
        """Returns the words as strings [W]. Words that are too long become a character that no piece contains."""
        too_long = _too_long(words, self._max_word_length, self._max_word_bytes)
        return tf.where(too_long, self._unspellable, tf.strings.unicode_encode(words, "UTF-8"))

    @staticmethod
    def _character_starts(words: tf.RaggedTensor, pieces: tf.RaggedTensor, byte_starts: tf.Tensor) -> tf.Tensor:
        """Converts the start of each piece in its word from bytes to characters; int32."""
        bytes_before = tf.cumsum(_widths(words.flat_values), exclusive=True)
        word_starts = tf.gather(tf.cast(words.row_starts(), tf.int32), pieces.value_rowids())
        return tf.searchsorted(bytes_before, tf.gather(bytes_before, word_starts) + byte_starts) - word_starts


class CoreWordPiece:
    """WordPiece by operations of TensorFlow alone.

    The longest piece at each character is found for all characters at the same time. Then all words are followed from
    piece to piece at the same time.

    Args:
        vocabulary: The vocabulary.
        max_word_length: The length in characters above which a word becomes [UNK].
        max_word_bytes: The length in bytes of UTF-8 above which a word becomes [UNK]; None if there is no such limit.
    """

    _BEGIN, _CONTINUE = 0, 1

    def __init__(self, vocabulary: Vocabulary, max_word_length: int, max_word_bytes: int | None = None) -> None:
        self._max_word_length = max_word_length
        self._max_word_bytes = max_word_bytes
        self._unk_id = vocabulary.unk_id
        begin, further = {}, {}
        for piece, index in vocabulary.piece_ids.items():
            begin[piece] = index
            if piece.startswith(CONTINUATION):
                further[piece.removeprefix(CONTINUATION)] = index
        self._trie = CodePointTrie([begin, further])

    def pieces(self, words: tf.RaggedTensor) -> tf.RaggedTensor:
        """Returns the ids of the pieces of words."""
        return self.pieces_with_starts(words)[0]

    def pieces_with_starts(self, words: tf.RaggedTensor) -> tuple[tf.RaggedTensor, tf.Tensor]:
        """Returns the ids of the pieces of words, and the start of each piece in its word."""
        characters, word_of = words.flat_values, words.value_rowids()
        starts = tf.cast(words.row_starts(), tf.int32)
        limits = tf.gather(tf.cast(words.row_limits(), tf.int32), word_of)
        is_first = tf.scatter_nd(starts[:, None], tf.ones_like(starts), tf.shape(characters)) > 0
        lengths, ids = self._trie.longest(characters, limits, tf.where(is_first, self._BEGIN, self._CONTINUE))
        too_long = _too_long(words, self._max_word_length, self._max_word_bytes)
        begins = _reached(tf.boolean_mask(starts, ~too_long), lengths, limits) | is_first
        # A word that cannot be split to its end is reached at a character where no piece begins.
        stuck = tf.boolean_mask(word_of, begins & (lengths == 0))
        unknown = tf.tensor_scatter_nd_update(too_long, stuck[:, None], tf.ones_like(stuck, tf.bool))
        places = tf.where(is_first | (begins & ~tf.gather(unknown, word_of)))[:, 0]
        rows = tf.gather(word_of, places)
        found = tf.where(tf.gather(unknown, rows), self._unk_id, tf.gather(ids, places))
        pieces = tf.RaggedTensor.from_value_rowids(found, rows, nrows=words.nrows(), validate=False)
        return pieces, tf.cast(places, tf.int32) - tf.gather(starts, rows)


def _too_long(words: tf.RaggedTensor, most_characters: int, most_bytes: int | None) -> tf.Tensor:
    """Returns which words, int32 [W, None], are longer than the limits, bool [W]."""
    too_long = words.row_lengths() > most_characters
    if most_bytes is None:
        return too_long
    sizes = tf.reduce_sum(words.with_flat_values(_widths(words.flat_values)), axis=1)
    return too_long | (sizes > most_bytes)


def _widths(code_points: tf.Tensor) -> tf.Tensor:
    """Returns the number of bytes of each code point in UTF-8, int32 [N]."""
    return 1 + sum(tf.cast(code_points >= wider, tf.int32) for wider in (0x80, 0x800, 0x10000))


def _reached(starts: tf.Tensor, lengths: tf.Tensor, limits: tf.Tensor) -> tf.Tensor:
    """Returns the characters that are reached from `starts` by steps of `lengths`, bool [N].

    Args:
        starts: The characters at which the ways begin, int32 [W].
        lengths: The step from each character; 0 ends a way. int32 [N].
        limits: The end of the ways through each character, int32 [N].
    """

    def step(places: tf.Tensor, reached: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        following = places + tf.gather(lengths, places)
        places = tf.boolean_mask(following, (following > places) & (following < tf.gather(limits, places)))
        return places, tf.tensor_scatter_nd_update(reached, places[:, None], tf.ones_like(places, tf.bool))

    unknown = tf.TensorShape([None])
    _, reached = tf.while_loop(
        lambda places, _: tf.size(places) > 0,
        step,
        (starts, tf.zeros_like(lengths, tf.bool)),
        shape_invariants=(unknown, unknown),
    )
    return reached
