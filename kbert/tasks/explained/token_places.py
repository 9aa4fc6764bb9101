"""The places of the tokens of a row in the texts that were encoded, as operations of a graph."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from kbert import features
from kbert.tasks.protocol.explaining import TokenPlaces
from kbert.tasks.protocol.objective import Tensors
from kbert.text.graph.encoder import GraphEncoder


def token_places(
    encode: GraphEncoder,
    row: Tensors,
    texts: Sequence[tf.Tensor],
    prompted: Sequence[tf.Tensor],
    *,
    keeps_end: bool = False,
) -> TokenPlaces:
    """Returns the places of the tokens of texts or pairs that were encoded in one row each.

    The tokens of prompts and special tokens are from no text.

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
    places = TokenPlaces(-tf.ones_like(ids), tf.zeros_like(ids), tf.zeros_like(ids))
    for index, (plain, text, length, begin) in enumerate(zip(texts, prompted, lengths, begins, strict=True)):
        prompt = tf.strings.length(text, "UTF8_CHAR") - tf.strings.length(plain, "UTF8_CHAR")
        cut = keeps_end and index == 0 and len(texts) > 1
        starts, ends, inside = _offsets(encode, text, length, begin, tf.shape(ids)[1], keeps_end=cut)
        starts, ends = starts - prompt[:, None], ends - prompt[:, None]
        inside &= starts >= 0  # a prompt is no part of the text
        places = TokenPlaces(
            tf.where(inside, index, places.texts),
            tf.where(inside, starts, places.starts),
            tf.where(inside, ends, places.ends),
        )
    return places


def _offsets(
    encode: GraphEncoder, text: tf.Tensor, length: tf.Tensor, begin: tf.Tensor, width: tf.Tensor, *, keeps_end: bool
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns the start and the end of each token of one text of each row, and whether the token is from it, [B, S].

    Args:
        encode: The tokenizer in the graph.
        text: The texts with their prompts, string [B].
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
        return tf.gather(dense, tf.clip_by_value(index, 0, tf.shape(dense)[1] - 1), batch_dims=1)

    return at(starts), at(ends), inside
