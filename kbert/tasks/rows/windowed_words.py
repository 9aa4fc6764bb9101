"""The words of texts that are split into overlapping windows, as operations of a graph."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from kbert import features
from kbert.text.graph.encoder import GraphEncoder, GraphWindows
from kbert.text.vocabulary import CONTINUATION

_OVERLAP = 4
"""Windows overlap by 1 / this number of their length."""


class WindowedWords(NamedTuple):
    """The N words of all texts of a batch, in one list."""

    keep: tf.Tensor
    """Whether a token is the first piece of a word, in the one window where the word counts; bool [W, S]."""
    rows: tf.Tensor
    """The index of the text of each word, int32 [N]."""
    starts: tf.Tensor
    """The offset of the first character of each word, int32 [N]."""
    ends: tf.Tensor
    """The offset after the last character of each word, int32 [N]."""


def window_stride(sequence_length: int) -> int:
    """Returns the number of tokens that neighbouring windows share."""
    return sequence_length // _OVERLAP


def continues_word(encode: GraphEncoder, ids: tf.Tensor) -> tf.Tensor:
    """Returns whether each token is a piece that continues a word, bool of the shape of the ids."""
    pieces = [token.startswith(CONTINUATION) for token in encode.tokenizer.vocabulary]
    return tf.gather(tf.constant(pieces), ids)


def words_of_windows(windows: GraphWindows, encode: GraphEncoder) -> WindowedWords:
    """Returns the words of texts from the windows over them, each word once, in order."""
    stride = window_stride(encode.sequence_length)
    rows = windows.rows
    first = tf.concat([[True], rows[1:] != rows[:-1]], 0)
    last = tf.concat([rows[1:] != rows[:-1], [True]], 0)
    lengths = tf.reduce_sum(tf.cast(windows.slides, tf.int32), -1)
    # Two windows share `stride` tokens. The first half of them counts in the first window, the rest in the second.
    begin = tf.where(first, 0, stride // 2)
    end = tf.where(last, lengths, lengths - (stride - stride // 2))
    places = tf.cumsum(tf.cast(windows.slides, tf.int32), 1) - 1
    own = windows.slides & (places >= begin[:, None]) & (places < end[:, None])

    ids = tf.boolean_mask(windows.features[features.INPUT_WORD_IDS.name], own)
    token_rows = tf.gather(rows, tf.cast(tf.where(own)[:, 0], tf.int32))
    new_row = tf.concat([[True], token_rows[1:] != token_rows[:-1]], 0)[: tf.size(token_rows)]
    begins = ~continues_word(encode, ids) | new_row
    word = tf.cumsum(tf.cast(begins, tf.int32)) - 1
    return WindowedWords(
        keep=tf.scatter_nd(tf.where(own), begins, tf.shape(own, tf.int64)),
        rows=tf.boolean_mask(token_rows, begins),
        starts=tf.boolean_mask(tf.boolean_mask(windows.starts, own), begins),
        ends=tf.math.segment_max(tf.boolean_mask(windows.ends, own), word),
    )
