"""Converts code points to the features of the encoder with operations that are built into LiteRT."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from kbert import features
from kbert.errors import UsageError
from kbert.export.phone.code_points.tokenizer import CodePointTokenizer, Tokens
from kbert.text.truncation import Truncation, check_truncation

CODE_POINTS = "code_points"
CODE_POINTS_PAIR = "code_points_pair"
STARTS = "starts"
ENDS = "ends"


class CodePointEncoder:
    """Encodes a text or a pair as `GraphEncoder` does: [CLS] text [SEP] pair [SEP], truncated and padded.

    Args:
        tokenizer: The tokenizer.
        sequence_length: The number of tokens of a sequence, including special tokens and padding, S.
        truncation: The text of a pair that loses tokens from its end; "longest_first" removes one token at a time from
            the longer text. With "only_first" and "only_second", the other text loses tokens if it alone is too long.
        keep_end: Whether the first texts of pairs lose their beginning instead of their end if they are too long.

    Raises:
        UsageError: `sequence_length` leaves no room for text, or `truncation` is invalid.

    Example:
        >>> encode = CodePointEncoder(CodePointTokenizer(Tokenizer("vocab.txt")), 8)
        >>> encode(tf.constant([[ord(c) for c in "Café au lait"]]))["input_word_ids"].numpy().tolist()
        [[101, 7668, 8740, 21110, 2102, 102, 0, 0]]
    """

    def __init__(
        self,
        tokenizer: CodePointTokenizer,
        sequence_length: int,
        *,
        truncation: Truncation = "longest_first",
        keep_end: bool = False,
    ) -> None:
        if sequence_length < 5:
            raise UsageError(f"sequence_length must be at least 5. Received: sequence_length={sequence_length}")
        check_truncation(truncation)
        self.tokenizer = tokenizer
        self.sequence_length = sequence_length
        self.truncation = truncation
        self.keep_end = keep_end

    def __call__(self, code_points: tf.Tensor, code_points_pair: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        """Encodes a text or a pair.

        Args:
            code_points: The UTF-32 code points of the text, padded with 0, int32 [1, N]. Text behind N code points is
                not read.
            code_points_pair: Those of the second text of a pair, int32 [1, M].

        Returns:
            The features, int32 [1, S], and `starts` and `ends`, int32 [1, S]: each token comes from the code points
            [start, end) of its text. Both are 0 for special tokens and padding.
        """
        positions = np.arange(self.sequence_length, dtype=np.int32)
        first_text = tf.reshape(code_points, [code_points.shape[1]])
        if code_points_pair is None:
            tokens = self.tokenizer(first_text)
            first = tf.minimum(tokens.first, self.sequence_length - 2)
            count = first + 2
            in_second = np.zeros(self.sequence_length, bool)
            token = positions - 1
            is_text = (positions > 0) & (positions <= first)
        else:
            tokens = self.tokenizer(first_text, tf.reshape(code_points_pair, [code_points_pair.shape[1]]))
            first, second = self._kept(tokens.first, tokens.second, self.sequence_length - 3)
            count = first + second + 3
            in_second = (positions > first + 1) & (positions < count)
            skipped = tokens.first - first if self.keep_end else 0
            token = tf.where(in_second, tokens.first + positions - first - 2, positions - 1 + skipped)
            is_text = (positions > 0) & tf.not_equal(positions, first + 1) & (positions < count - 1)
        vocabulary = self.tokenizer.vocabulary
        special = np.where(positions == 0, vocabulary.cls_id, vocabulary.sep_id).astype(np.int32)
        is_token = positions < count
        ids, starts, ends = self._read(tokens, token)
        if code_points_pair is not None:
            before_second = tf.where(in_second, code_points.shape[1] + 1, 0)
            starts, ends = starts - before_second, ends - before_second
        outputs = {
            features.INPUT_WORD_IDS.name: tf.where(is_text, ids, tf.where(is_token, special, vocabulary.pad_id)),
            features.INPUT_MASK.name: tf.cast(is_token, tf.int32),
            features.INPUT_TYPE_IDS.name: tf.cast(in_second, tf.int32),
            STARTS: tf.where(is_text, starts, 0),
            ENDS: tf.where(is_text, ends, 0),
        }
        return {name: tf.reshape(value, [1, self.sequence_length]) for name, value in outputs.items()}

    def _read(self, tokens: Tokens, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns the ids, starts and ends of tokens, int32 [S]. Those of indices out of range are arbitrary."""
        last = tf.maximum(tokens.first + tokens.second - 1, 0)
        indices = tf.minimum(tf.maximum(indices, 0), last)
        places = tf.gather(tokens.order, indices)
        last_places = tf.maximum(tf.gather(tokens.order, indices + 1) - 1, 0)
        starts = tf.gather(tokens.origins, places)
        ends = tf.gather(tokens.ends, tf.gather(tokens.origins, last_places))
        return self.tokenizer.ids(tokens, places), starts, ends

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
