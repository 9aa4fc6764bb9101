"""The words of the tokens that a model reads, with their places in the texts, in the graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from kbert import features
from kbert.tasks.explained.token_places import token_places
from kbert.tasks.protocol.explaining import TokenPlaces
from kbert.tasks.protocol.objective import Tensors
from kbert.tasks.rows.windowed_words import continues_word
from kbert.text.graph.encoder import GraphEncoder


class GraphWords(NamedTuple):
    """The words of rows of tokens; W is the largest number of words in a row."""

    of_tokens: tf.Tensor
    """The index of the word of each token in its row, int32 [B, S]; -1 for special tokens, prompts and padding."""
    count: tf.Tensor
    """The number of words in each row, int32 [B]."""
    texts: tf.Tensor
    """The index of the text that each word is from, int32 [B, W]."""
    starts: tf.Tensor
    """The start of each word in its text, in characters, int32 [B, W]."""
    ends: tf.Tensor
    """The end of each word in its text, in characters, int32 [B, W]."""
    surfaces: tf.Tensor
    """The words as the texts have them, string [B, W]."""


def graph_words(
    encode: GraphEncoder,
    row: Tensors,
    texts: Sequence[tf.Tensor],
    prompted: Sequence[tf.Tensor],
    *,
    keeps_end: bool = False,
) -> GraphWords:
    """Returns the words of texts or pairs that were encoded in one row each; see `token_places` for the arguments."""
    places = token_places(encode, row, texts, prompted, keeps_end=keeps_end)
    return words_of_tokens(encode, row[features.INPUT_WORD_IDS.name], places, tf.stack(texts, 1))


def words_of_tokens(encode: GraphEncoder, ids: tf.Tensor, places: TokenPlaces, texts: tf.Tensor) -> GraphWords:
    """Returns the words of tokens.

    Words are those of the tokenizer: a punctuation mark or a CJK character is a word of its own.

    Args:
        encode: The tokenizer in the graph.
        ids: The tokens, int32 [B, S].
        places: Their places.
        texts: The texts of each row, string [B, T].
    """
    inside = places.texts >= 0
    before = tf.pad(places.texts, [[0, 0], [1, 0]], constant_values=-1)[:, :-1]
    begins = inside & ((before != places.texts) | ~continues_word(encode, ids))
    of_tokens = tf.where(inside, tf.cumsum(tf.cast(begins, tf.int32), 1) - 1, -1)
    count = tf.reduce_max(of_tokens, -1) + 1
    most = tf.maximum(1, tf.reduce_max(count))
    segments = tf.boolean_mask(of_tokens + tf.range(tf.shape(ids)[0])[:, None] * most, inside)

    def by_word(reduce: object, values: tf.Tensor) -> tf.Tensor:
        flat = reduce(tf.boolean_mask(values, inside), segments, tf.shape(ids)[0] * most)  # type: ignore[operator]
        exists = tf.sequence_mask(count, most)
        return tf.where(exists, tf.reshape(flat, [-1, most]), 0)

    starts = by_word(tf.math.unsorted_segment_min, places.starts)
    ends = by_word(tf.math.unsorted_segment_max, places.ends)
    of_texts = by_word(tf.math.unsorted_segment_max, places.texts)
    whole = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8")
    surfaces = tf.strings.substr(tf.gather(whole, of_texts, batch_dims=1), starts, ends - starts, unit="UTF8_CHAR")
    return GraphWords(of_tokens, count, of_texts, starts, ends, surfaces)
