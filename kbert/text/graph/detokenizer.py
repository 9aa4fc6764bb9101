"""Converts token ids back to text, as TensorFlow operations."""

from __future__ import annotations

import tensorflow as tf

from kbert.text.spacing import Kind, token_kinds, token_text
from kbert.text.vocabulary import Vocabulary


class GraphDetokenizer:
    """Converts token ids to text: pieces become words, with spaces by the rules of `kbert.text.spacing`.

    Case and accents that normalization removed are lost.

    Args:
        vocabulary: The vocabulary.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._texts = [token_text(token).encode("utf-8", "replace") for token in vocabulary]
        self._kinds = token_kinds(list(vocabulary))

    def __call__(self, ids: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """Returns the texts.

        Args:
            ids: Token ids, int32 [..., T].
            lengths: The number of ids of each text, int32 [...]. The ids behind them are ignored.

        Returns:
            UTF-8 strings, [...].
        """
        inside = tf.sequence_mask(lengths, tf.shape(ids)[-1])
        kinds = tf.where(inside, tf.gather(self._kinds, ids), 0)
        texts = tf.where(inside, tf.gather(tf.constant(self._texts, tf.string), ids), "")
        spaces = tf.where(_has_space(kinds) & inside, " ", "")
        return tf.strings.reduce_join(tf.strings.join([spaces, texts]), -1)


def _has_space(kinds: tf.Tensor) -> tf.Tensor:
    """Returns whether a space stands before each token, bool [..., T], given the kinds of the tokens."""

    def at(offset: int, kind: Kind) -> tf.Tensor:
        """Returns whether the token at this offset from each token is of a kind; False beyond the ends."""
        return tf.bitwise.bitwise_and(_shifted(kinds, offset), int(kind)) != 0

    starts = tf.range(tf.shape(kinds)[-1]) == 0
    quotes = tf.cast(at(0, Kind.QUOTE), tf.int32)
    opens = at(0, Kind.QUOTE) & (tf.cumsum(quotes, -1, exclusive=True) % 2 == 0)
    closes = at(0, Kind.QUOTE) & ~opens
    # Marks between two words, seen from the mark and from the word behind it.
    joins = at(0, Kind.JOINING) & at(-1, Kind.WORD) & at(1, Kind.WORD)
    contracts = at(0, Kind.APOSTROPHE) & at(-1, Kind.WORD) & at(1, Kind.CONTRACTION) & ~at(2, Kind.CONTINUATION)
    elides = at(0, Kind.APOSTROPHE) & at(-1, Kind.ELISION) & ~at(-1, Kind.CONTINUATION) & at(1, Kind.WORD)
    tight = joins | contracts | elides
    in_number = at(-2, Kind.NUMBER) & (
        (at(-1, Kind.NUMBER_MARK) & at(0, Kind.NUMBER)) | (at(-1, Kind.COMMA) & at(0, Kind.THREE_DIGITS))
    )
    none = (
        starts
        | at(0, Kind.CONTINUATION)
        | at(0, Kind.CLOSING)
        | at(-1, Kind.OPENING)
        | at(0, Kind.UNSPACED)
        | at(-1, Kind.UNSPACED)
        | closes
        | _before(opens)
        | tight
        | _before(tight)
        | in_number
    )
    return ~none


def _shifted(values: tf.Tensor, offset: int) -> tf.Tensor:
    """Returns the values at `offset` from each place along the last axis, 0 beyond the ends."""
    if offset == 0:
        return values
    zeros = tf.zeros_like(values[..., :1])
    zeros = tf.repeat(zeros, abs(offset), axis=-1)
    length = tf.shape(values)[-1]
    if offset > 0:
        return tf.concat([values, zeros], -1)[..., offset : offset + length]
    return tf.concat([zeros, values], -1)[..., :length]


def _before(values: tf.Tensor) -> tf.Tensor:
    """Returns the bool values of the tokens before, False before the first."""
    return _shifted(tf.cast(values, tf.int32), -1) != 0
