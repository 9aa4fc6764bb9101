"""The tokenizer as TensorFlow operations, so that a SavedModel accepts text. The ids are the same as in Python.

Normalization applies a table in the graph (see `kbert.text.graph.normalization`) to each code point. By default the
last step, WordPiece on normalized words, and the search for tokens in text are operations of tensorflow-text. They can
be operations of TensorFlow alone instead, which any TensorFlow runtime has.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from kbert.text.added_tokens import TextTokens
from kbert.text.graph.added_tokens import GraphTextTokens, Sources
from kbert.text.graph.normalization import graph_normalizer, until_nul
from kbert.text.graph.wordpiece import CoreWordPiece, GraphWordPiece, TextWordPiece
from kbert.text.replacement_table import SPACE
from kbert.text.settings import TokenizerSettings
from kbert.text.vocabulary import Vocabulary


class _Words(NamedTuple):
    """The words of all texts."""

    characters: tf.RaggedTensor
    """The code points of each word, int32 [W, None]."""
    text_splits: tf.Tensor
    """The words of text i are [text_splits[i], text_splits[i + 1]), int64 [B + 1]."""
    sources: Sources | None
    """The origins of the characters in the texts; None if offsets are not requested."""
    offsets: tf.Tensor
    """The index of the first code point of each text, int32 [B]."""


class _Compiled:
    """The function of a tokenizer. As an attribute of the tokenizer it would become a part of SavedModels."""

    def __init__(self, tokenizer: GraphTokenizer) -> None:
        self.function = tf.function(
            tokenizer.__call__, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False
        )


class GraphTokenizer(tf.Module):
    """Tokenizes texts in a TensorFlow graph.

    Args:
        vocabulary: The vocabulary.
        settings: The settings of the tokenizer.
        text_tokens: The tokens that are found in text as a whole.
        core: Whether all operations are those of TensorFlow alone, and none is of TensorFlow Text. This is slower.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        settings: TokenizerSettings,
        text_tokens: TextTokens | None = None,
        *,
        core: bool = False,
    ) -> None:
        super().__init__(name="graph_tokenizer")
        self.vocabulary = vocabulary
        self.settings = settings
        self._normalize = graph_normalizer(
            settings.lowercase, settings.strips_accents, settings.chinese_characters, settings.normalization
        )
        self._text_tokens = GraphTextTokens(text_tokens, core=core) if text_tokens else None
        wordpiece = CoreWordPiece if core else TextWordPiece
        self._wordpiece: GraphWordPiece = wordpiece(vocabulary, settings.max_word_length, settings.max_word_bytes)
        self._compiled = _Compiled(self)

    @property
    def lowercase(self) -> bool:
        """Whether text is lower-cased."""
        return self.settings.lowercase

    def __call__(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Converts `texts`, UTF-8 strings [B], to ids without special tokens, RaggedTensor int32 [B, None]."""
        words = self._words(texts, with_sources=False)
        pieces = self._wordpiece.pieces(words.characters)
        if self._text_tokens is not None:
            pieces, _ = self._with_text_tokens(words, pieces, tf.zeros_like(pieces.flat_values))
        return self._by_text(words, pieces)

    def compiled(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Converts texts like a call, by a function that is traced once: for tensors with values, not for graphs."""
        return self._compiled.function(texts)

    def with_offsets(self, texts: tf.Tensor) -> tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]:
        """Converts `texts`, UTF-8 strings [B], to ids, starts and ends, RaggedTensor int32 [B, None] each.

        Token i of a text comes from its characters [starts[i], ends[i]). Invalid UTF-8 counts as the U+FFFD characters
        that `bytes.decode("utf-8", "replace")` replaces it by.
        """
        words = self._words(texts, with_sources=True)
        pieces, starts = self._wordpiece.pieces_with_starts(words.characters)
        is_hidden = tf.zeros([words.characters.nrows()], tf.bool)
        if self._text_tokens is not None:
            is_hidden = self._hidden(words) >= 0
            pieces, starts = self._with_text_tokens(words, pieces, starts)
        token_starts, token_ends = self._offsets(words, pieces, starts, is_hidden)
        return (
            self._by_text(words, pieces),
            self._by_text(words, pieces.with_flat_values(token_starts)),
            self._by_text(words, pieces.with_flat_values(token_ends)),
        )

    def _words(self, texts: tf.Tensor, *, with_sources: bool) -> _Words:
        code_points = tf.strings.unicode_decode(texts, "UTF-8", errors="replace", replace_control_characters=False)
        if self._normalize.ends_at_nul:
            code_points = until_nul(code_points)
        sources = None
        if self._text_tokens is not None:
            code_points, sources = self._text_tokens.hide(code_points)
        replaced = self._normalize(code_points)
        rows = _without_middle(replaced)
        if with_sources or sources is not None:
            origins = tf.cast(replaced.values.value_rowids(), tf.int32)
            sources = Sources(origins, origins + 1) if sources is None else sources.at(origins)
        if self._text_tokens is not None and sources is not None:
            rows, sources = self._text_tokens.hide_normalized(rows, sources, code_points)
        inside = tf.where(rows.flat_values != ord(SPACE))[:, 0]
        characters = tf.gather(rows.flat_values, inside)
        # A word begins after a space, at the start of a row, at a placeholder, and after a placeholder.
        begins = tf.concat([[True], inside[1:] != inside[:-1] + 1], 0)[: tf.size(inside)]
        if self._text_tokens is not None:
            placeholder = self._text_tokens.places(characters) >= 0
            begins |= placeholder | tf.concat([[False], placeholder[:-1]], 0)[: tf.size(inside)]
        row_splits = tf.searchsorted(inside, rows.row_splits)
        begins = tf.tensor_scatter_nd_update(
            tf.concat([begins, [True]], 0), row_splits[:, None], tf.ones_like(row_splits, tf.bool)
        )
        word_splits = tf.where(begins)[:, 0]
        return _Words(
            characters=tf.RaggedTensor.from_row_splits(characters, word_splits, validate=False),
            text_splits=tf.searchsorted(word_splits, tf.cast(row_splits, tf.int64), out_type=tf.int64),
            sources=sources.at(inside) if sources is not None and with_sources else None,
            offsets=tf.cast(code_points.row_starts(), tf.int32),
        )

    def _hidden(self, words: _Words) -> tf.Tensor:
        """Returns the index of the placeholder that each word is, int32 [W]; -1 for other words."""
        assert self._text_tokens is not None
        return self._text_tokens.places(tf.gather(words.characters.flat_values, words.characters.row_starts()))

    def _with_text_tokens(
        self, words: _Words, pieces: tf.RaggedTensor, starts: tf.Tensor
    ) -> tuple[tf.RaggedTensor, tf.Tensor]:
        """Replaces the pieces of placeholders by those of their tokens.

        Args:
            words: The words.
            pieces: The pieces of each word, RaggedTensor int32 [W, None].
            starts: The start of each piece in its word, int32 [N].

        Returns:
            The pieces and their starts.
        """
        assert self._text_tokens is not None
        hidden = self._hidden(words)
        known = self._text_tokens
        own = tf.size(pieces.flat_values, tf.int64) + tf.gather(known.piece_rows, tf.maximum(hidden, 0))
        limit = tf.size(pieces.flat_values, tf.int64) + tf.gather(known.piece_rows, tf.maximum(hidden, 0) + 1)
        indices = tf.ragged.range(
            tf.where(hidden < 0, pieces.row_starts(), own), tf.where(hidden < 0, pieces.row_limits(), limit)
        )
        every_id = tf.concat([pieces.flat_values, known.piece_ids], 0)
        every_start = tf.concat([starts, known.piece_starts], 0)
        return (
            indices.with_flat_values(tf.gather(every_id, indices.flat_values)),
            tf.gather(every_start, indices.flat_values),
        )

    @staticmethod
    def _offsets(
        words: _Words, pieces: tf.RaggedTensor, starts: tf.Tensor, is_hidden: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the start and end of each piece in its text, given the starts in its word; int32 each."""
        assert words.sources is not None
        word = pieces.value_rowids()
        hidden = tf.gather(is_hidden, word)
        first = tf.gather(tf.cast(words.characters.row_starts(), tf.int32), word)
        lengths = tf.cast(words.characters.row_lengths(), tf.int32)
        is_last = tf.concat([word[1:] != word[:-1], [True]], 0)[: tf.size(word)]
        limits = tf.where(is_last, tf.gather(lengths, word), tf.concat([starts[1:], [0]], 0)[: tf.size(word)])
        # A placeholder is one character, whose origin is the range of the whole token.
        token_starts = tf.where(
            hidden,
            tf.gather(words.sources.starts, first) + starts,
            tf.gather(words.sources.starts, tf.where(hidden, first, first + starts)),
        )
        token_ends = tf.where(
            hidden & ~is_last,
            tf.gather(words.sources.starts, first) + limits,
            tf.gather(words.sources.ends, tf.where(hidden, first, first + limits - 1)),
        )
        text_of = tf.ragged.row_splits_to_segment_ids(words.text_splits)
        offset = tf.gather(words.offsets, tf.gather(text_of, word))
        return token_starts - offset, token_ends - offset

    @staticmethod
    def _by_text(words: _Words, pieces: tf.RaggedTensor) -> tf.RaggedTensor:
        return _without_middle(tf.RaggedTensor.from_row_splits(pieces, words.text_splits, validate=False))


def _without_middle(values: tf.RaggedTensor) -> tf.RaggedTensor:
    """Returns `values.merge_dims(1, 2)` without the checks of that method, which take time in each request."""
    splits = tf.gather(values.values.row_splits, values.row_splits)
    return tf.RaggedTensor.from_row_splits(values.flat_values, splits, validate=False)
