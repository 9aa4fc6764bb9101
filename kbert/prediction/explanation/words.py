"""The words of the tokens that a model reads, with their places in the texts, in the graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from kbert import features
from kbert.tasks.protocol.objective import Tensors
from kbert.text.graph.encoder import GraphEncoder
from kbert.text.vocabulary import CONTINUATION


class GraphWords(NamedTuple):
    """The words of rows of tokens; W is the largest number of words in a row."""

    of_tokens: tf.Tensor
    """The index of the word of each token in its row, int32 [B, S]; -1 for special tokens, prompts and padding."""
    count: tf.Tensor
    """The number of words in each row, int32 [B]."""
    texts: tf.Tensor
    """The text that each word is from: 0 for the first and 1 for the second, int32 [B, W]."""
    starts: tf.Tensor
    """The start of each word in its text, in characters, int32 [B, W]."""
    ends: tf.Tensor
    """The end of each word in its text, in characters, int32 [B, W]."""
    surfaces: tf.Tensor
    """The words as the texts have them, string [B, W]."""


class _Places(NamedTuple):
    """The places of the tokens of a text in its row."""

    inside: tf.Tensor
    """Whether each token of the row is from the text, bool [B, S]."""
    first: tf.Tensor
    """Whether each token is the first of the text that the row has, bool [B, S]."""
    starts: tf.Tensor
    ends: tf.Tensor
    """The start and the end of each token in the text, in characters, int32 [B, S]."""


def graph_words(
    encode: GraphEncoder,
    row: Tensors,
    texts: Sequence[tf.Tensor],
    prompted: Sequence[tf.Tensor],
    *,
    keeps_end: bool = False,
) -> GraphWords:
    """Returns the words of texts or pairs that were encoded in one row each.

    Words are those of the tokenizer: a punctuation mark or a CJK character is a word of its own.

    Args:
        encode: The tokenizer in the graph.
        row: The features that it returned, int32 [B, S].
        texts: The texts, and for pairs the second texts, string [B] each.
        prompted: The same with their prompts before them, as they were encoded.
        keeps_end: Whether the first texts of pairs lost their beginning if they were too long.
    """
    ids, mask = row[features.INPUT_WORD_IDS.name], row[features.INPUT_MASK.name]
    second = tf.cast((row[features.INPUT_TYPE_IDS.name] == 1) & (mask == 1), tf.int32)
    # [CLS] first [SEP], and for pairs second [SEP].
    lengths = [tf.reduce_sum(mask - second, -1) - 2, tf.reduce_sum(second, -1) - 1][: len(texts)]
    begins = [tf.ones_like(lengths[0]), lengths[0] + 2][: len(texts)]
    found = [
        _places(encode, text, tf.strings.length(text, "UTF8_CHAR") - tf.strings.length(plain, "UTF8_CHAR"), *where,
                width=tf.shape(ids)[1], keeps_end=keeps_end and place == 0 and len(texts) > 1)
        for place, (plain, text, *where) in enumerate(zip(texts, prompted, lengths, begins, strict=True))
    ]  # fmt: skip
    inside = tf.reduce_any([each.inside for each in found], 0)
    first = tf.reduce_any([each.first for each in found], 0)
    is_piece = tf.constant([token.startswith(CONTINUATION) for token in encode.tokenizer.vocabulary])
    begins_word = inside & (first | ~tf.gather(is_piece, ids))
    of_tokens = tf.where(inside, tf.cumsum(tf.cast(begins_word, tf.int32), 1) - 1, -1)
    count = tf.reduce_max(of_tokens, -1) + 1
    most = tf.maximum(1, tf.reduce_max(count))
    segments = tf.boolean_mask(of_tokens + tf.range(tf.shape(ids)[0])[:, None] * most, inside)

    def by_word(reduce: object, values: Sequence[tf.Tensor]) -> tf.Tensor:
        total = tf.add_n([tf.where(each.inside, value, 0) for each, value in zip(found, values, strict=True)])
        flat = reduce(tf.boolean_mask(total, inside), segments, tf.shape(ids)[0] * most)  # type: ignore[operator]
        exists = tf.sequence_mask(count, most)
        return tf.where(exists, tf.reshape(flat, [-1, most]), 0)

    starts = by_word(tf.math.unsorted_segment_min, [each.starts for each in found])
    ends = by_word(tf.math.unsorted_segment_max, [each.ends for each in found])
    indices = [tf.fill(tf.shape(ids), place) for place in range(len(found))]
    of_texts = by_word(tf.math.unsorted_segment_max, indices)
    whole = tf.stack([tf.strings.unicode_transcode(text, "UTF-8", "UTF-8") for text in texts], 1)
    surfaces = tf.strings.substr(tf.gather(whole, of_texts, batch_dims=1), starts, ends - starts, unit="UTF8_CHAR")
    return GraphWords(of_tokens, count, of_texts, starts, ends, surfaces)


def _places(
    encode: GraphEncoder,
    text: tf.Tensor,
    prompt: tf.Tensor,
    length: tf.Tensor,
    begin: tf.Tensor,
    *,
    width: tf.Tensor,
    keeps_end: bool,
) -> _Places:
    """Returns the places of the tokens of one text of each row.

    Args:
        encode: The tokenizer in the graph.
        text: The texts with their prompts, string [B].
        prompt: The lengths of the prompts in characters, int32 [B].
        length: The number of tokens of each text that its row has, int32 [B].
        begin: The position of the first of them, int32 [B].
        width: The number of positions of a row, S.
        keeps_end: Whether a text that is too long lost its beginning.
    """
    _, starts, ends = encode.tokenizer.with_offsets(text)
    index = tf.range(width)[None] - begin[:, None]
    inside = (index >= 0) & (index < length[:, None])
    if keeps_end:
        index += tf.cast(starts.row_lengths(), tf.int32)[:, None] - length[:, None]

    def at(values: tf.RaggedTensor) -> tf.Tensor:
        dense = tf.pad(values.to_tensor(), [[0, 0], [0, 1]])  # a batch may have no token
        return tf.gather(dense, tf.clip_by_value(index, 0, tf.shape(dense)[1] - 1), batch_dims=1) - prompt[:, None]

    token_starts, token_ends = at(starts), at(ends)
    inside &= token_starts >= 0  # a prompt is no part of the text
    first = inside & ~tf.pad(inside, [[0, 0], [1, 0]])[:, :-1]
    return _Places(inside, first, token_starts, token_ends)
