"""Converts code points to the features of the encoder with operations that are built into LiteRT."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from kbert import features
from kbert.errors import UsageError
from kbert.export.phone.code_points.character_table import CharacterTable
from kbert.export.phone.code_points.final_sigma import Casing, casings, stands_last
from kbert.export.phone.code_points.replacements import Replacements
from kbert.export.phone.code_points.text_tokens import TextTokenSearch
from kbert.export.phone.code_points.word_pieces import Pieces, WordPieces
from kbert.text.replacement_table import SIGMA
from kbert.text.tokenizer import Tokenizer
from kbert.text.truncation import Truncation, check_truncation

CODE_POINTS = "code_points"
CODE_POINTS_PAIR = "code_points_pair"
STARTS = "starts"
ENDS = "ends"

_SEPARATORS = ("\n", "\u2028", "\u2029", "\u2000", "\u2001")


class _Tokens(NamedTuple):
    """The tokens of a text, or of two texts one after the other, with N code points and at most C - 1 characters."""

    pieces: Pieces
    """The pieces of the C characters."""
    order: tf.Tensor
    """The character at which each token begins, int32 [C]. The entry behind the last token is the last character's."""
    origins: tf.Tensor
    """The code point that each character comes from, int32 [C]."""
    lengths: tf.Tensor
    """The number of code points that the characters of each code point stand for, int32 [N]."""
    first: tf.Tensor
    """The number of tokens of the first text, int32 []."""
    second: tf.Tensor
    """The number of tokens of the second text, int32 []."""


class CodePointEncoder:
    """Encodes a text or a pair as `GraphEncoder` does: [CLS] text [SEP] pair [SEP], truncated and padded.

    All shapes are static. All operations are built into LiteRT, without strings and control flow, so that the model
    runs wherever LiteRT does. The tables of characters and pieces are constants of the graph.

    Args:
        tokenizer: The tokenizer.
        sequence_length: The number of tokens of a sequence, including special tokens and padding, S.
        truncation: The text of a pair that loses tokens from its end; "longest_first" removes one token at a time from
            the longer text. With "only_first" or "only_second", the text that must not lose tokens is cut at the length
            of the sequence if it alone fills the sequence.

    Raises:
        UsageError: `sequence_length` leaves no room for text, `truncation` is invalid, or the tokenizer has added
            tokens with rules that the graph does not have.

    Example:
        >>> encode = CodePointEncoder(Tokenizer("vocab.txt"), 8)
        >>> encode(tf.constant([[ord(c) for c in "Café au lait"]]))["input_word_ids"].numpy()
        array([[  101,  7668,  8740, 21110,  2102,   102,     0,     0]], dtype=int32)
    """

    def __init__(
        self, tokenizer: Tokenizer, sequence_length: int, *, truncation: Truncation = "longest_first"
    ) -> None:
        if sequence_length < 5:
            raise UsageError(f"sequence_length must be at least 5. Received: sequence_length={sequence_length}")
        check_truncation(truncation)
        self.vocabulary = tokenizer.vocabulary
        self.sequence_length = sequence_length
        self.truncation = truncation
        settings = tokenizer.settings
        self._search = TextTokenSearch(tokenizer.text_tokens)
        replacements = Replacements(settings)
        self._pieces = WordPieces(self.vocabulary, replacements, settings.max_word_length, self._search.ids)
        # The two forms of the small sigma, if the vocabulary tells them apart.
        forms = [self._pieces.classes.get(form, 1) for form in "σς"]
        self._final_sigma = forms[1] if settings.lowercase and forms[0] != forms[1] else None
        self._table = CharacterTable(
            replacements,
            self._pieces.classes,
            {} if self._final_sigma is None else casings(),
            self._search.marks,
        )
        self._separator = next(c for c in _SEPARATORS if c not in self._search.marks)

    def __call__(self, code_points: tf.Tensor, code_points_pair: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        """Encodes a text or a pair.

        Args:
            code_points: The UTF-32 code points of the text, padded with 0, int32 [1, N].
            code_points_pair: Those of the second text of a pair, int32 [1, M].

        Returns:
            The features, int32 [1, S], and `starts` and `ends`, int32 [1, S]: each token comes from the code points
            [start, end) of its text. Both are 0 for special tokens and padding.
        """
        length = code_points.shape[1]
        texts = tf.reshape(code_points, [length])
        if code_points_pair is not None:
            # White space between the texts ends words. It is not part of any token.
            second = tf.reshape(code_points_pair, [code_points_pair.shape[1]])
            texts = tf.concat([texts, [ord(self._separator)], second], 0)
        tokens = self._tokens(texts, length)
        return self._assemble(tokens, None if code_points_pair is None else length + 1)

    def _tokens(self, code_points: tf.Tensor, length: int) -> _Tokens:
        """Returns the tokens of code points, int32 [N], of which the first `length` are those of the first text."""
        count = code_points.shape[0]
        known = self._table(code_points)
        classes, counts, before, after, casing = known[:5]
        lengths = tf.ones([count], tf.int32)
        if self._search.ids:
            found = self._search(known.mark)
            begins = found.begins
            # A placeholder of one character stands for the token. The other code points of the token are dropped.
            counts = tf.where(begins, 1, tf.where(found.inside, 0, counts))
            before, after = (tf.where(begins, 1, tf.where(found.inside, 0, each)) for each in (before, after))
            casing = tf.where(begins, Casing.OTHER, tf.where(found.inside, Casing.IGNORED, casing))
            placeholders = self._pieces.first_placeholder + found.places
            classes = tf.where(begins[:, None], placeholders[:, None], classes)
            lengths = tf.where(begins, found.lengths, lengths)
        if self._final_sigma is not None:
            final = tf.equal(code_points, ord(SIGMA)) & stands_last(casing)
            classes = tf.where(final[:, None], self._final_sigma, classes)

        # Characters with the same number are in the same word.
        words = tf.cumsum(before + after) - after + 1
        width = self._table.width
        limits = tf.cumsum(counts)
        size = count * width
        # One place more than there are characters at most, and one for what is dropped.
        steps = np.arange(width)[None]
        places = tf.where(counts[:, None] > steps, (limits - counts)[:, None] + steps, size + 1)
        origins = tf.range(count)
        spread = [classes, *(tf.tile(each[:, None], [1, width]) for each in (words, origins))]
        rows = tf.stack([tf.reshape(each, [size]) for each in spread], 1)
        placed = tf.scatter_nd(tf.reshape(places, [size, 1]), rows, [size + 2, 3])[: size + 1]
        classes, words, origins = tf.unstack(placed, axis=1)

        is_first = tf.not_equal(words, tf.concat([[-1], words[:-1]], 0))
        pieces = self._pieces.split(classes, is_first)
        begins = tf.cast(pieces.begins, tf.int32)
        ranks = tf.cumsum(begins)
        # The tokens in their order. The entry behind the last token is the place behind the last character.
        order = tf.scatter_nd(tf.where(pieces.begins, ranks - 1, size + 1)[:, None], tf.range(size + 1), [size + 2])
        total = ranks[-1] - 1
        first = tf.gather(tf.concat([[0], ranks], 0), limits[length - 1]) if count > length else total
        return _Tokens(pieces, order[: size + 1], origins, lengths, first, total - first)

    def _kept(self, first: tf.Tensor, second: tf.Tensor, room: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the numbers of tokens of two texts that `truncation.kept_lengths` keeps."""
        if self.truncation == "only_first":
            second = tf.minimum(second, room)
            return tf.minimum(first, room - second), second
        if self.truncation == "only_second":
            first = tf.minimum(first, room)
            return first, tf.minimum(second, room - first)
        return (
            tf.minimum(first, tf.maximum(room - second, (room + 1) // 2)),
            tf.minimum(second, tf.maximum(room - first, room // 2)),
        )

    def _assemble(self, tokens: _Tokens, second_start: int | None) -> dict[str, tf.Tensor]:
        """Returns the outputs; the second text begins at the code point `second_start`."""
        vocabulary = self.vocabulary
        positions = np.arange(self.sequence_length, dtype=np.int32)
        if second_start is None:
            first = tf.minimum(tokens.first, self.sequence_length - 2)
            count = first + 2
            in_second = np.zeros(self.sequence_length, bool)
            is_text = (positions > 0) & (positions <= first)
            token = positions - 1
        else:
            first, second = self._kept(tokens.first, tokens.second, self.sequence_length - 3)
            count = first + second + 3
            in_second = (positions > first + 1) & (positions < count)
            is_text = (positions > 0) & tf.not_equal(positions, first + 1) & (positions < count - 1)
            token = tf.where(in_second, tokens.first + positions - first - 2, positions - 1)
        last = tf.maximum(tokens.first + tokens.second - 1, 0)
        token = tf.minimum(tf.maximum(token, 0), last)
        place = tf.gather(tokens.order, token)
        last_place = tf.maximum(tf.gather(tokens.order, token + 1) - 1, 0)

        special = tf.where(positions == 0, vocabulary.cls_id, vocabulary.sep_id)
        is_token = positions < count
        ids = tf.where(is_text, self._pieces.ids(tokens.pieces, place), tf.where(is_token, special, vocabulary.pad_id))
        origin, last_origin = tf.gather(tokens.origins, place), tf.gather(tokens.origins, last_place)
        skipped = 0 if second_start is None else tf.where(in_second, second_start, 0)
        starts = origin - skipped
        ends = last_origin + tf.gather(tokens.lengths, last_origin) - skipped
        outputs = {
            features.INPUT_WORD_IDS.name: ids,
            features.INPUT_MASK.name: tf.cast(is_token, tf.int32),
            features.INPUT_TYPE_IDS.name: tf.cast(in_second, tf.int32),
            STARTS: tf.where(is_text, starts, 0),
            ENDS: tf.where(is_text, ends, 0),
        }
        return {name: tf.reshape(value, [1, self.sequence_length]) for name, value in outputs.items()}
