"""Rows of tokens in which two entities of a text are marked, as operations of a graph."""

from __future__ import annotations

import re

import tensorflow as tf

from kbert import features
from kbert.errors import UsageError
from kbert.text.graph.encoder import GraphEncoder
from kbert.text.vocabulary import Vocabulary

_UNUSED = re.compile(r"\[unused\d+\]")
_PUNCTUATION = ("@", "@", "#", "#")
_ROOM = 4
"""The least number of tokens of the text in a row."""
_LAST = 1e9
"""The place of what is left out."""


def marker_ids(vocabulary: Vocabulary) -> tuple[int, ...]:
    """Returns the ids of the tokens before and after the head, and before and after the tail; () for no markers.

    They are the first four tokens such as [unused1], or else the pieces @ and #, which mark entities as well
    (arXiv 2102.01373). A vocabulary with neither has no markers.
    """
    unused = [index for index, token in enumerate(vocabulary) if _UNUSED.fullmatch(token)]
    if len(unused) >= len(_PUNCTUATION):
        return tuple(unused[: len(_PUNCTUATION)])
    return tuple(vocabulary.ids[token] for token in _PUNCTUATION) if {"@", "#"} <= vocabulary.ids.keys() else ()


def check_room(encode: GraphEncoder) -> None:
    """Checks that the rows have room for the markers and some tokens of the text.

    Raises:
        UsageError: They have not.
    """
    least = 2 + len(marker_ids(encode.tokenizer.vocabulary)) + _ROOM
    if encode.sequence_length < least:
        raise UsageError(f"sequence_length must be at least {least} for relations. Received: {encode.sequence_length}")


def entity_rows(encode: GraphEncoder, texts: tf.Tensor, heads: tf.Tensor, tails: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns a row for each text, with token type 1 and markers for both entities.

    Of a text that is too long, the tokens nearest to the entities are kept. An entity without a token, such as one
    outside the text, is not marked, and its position is that of [CLS].

    Args:
        encode: The tokenizer in the graph, with the sequence length.
        texts: The texts, string [B].
        heads: The offset of the first character of each head, and the offset after its last one, int32 [B, 2].
        tails: The same of the tails.

    Returns:
        The features of the encoder, int32 [B, S]; `entity_positions`, int32 [B, 2], the positions of the markers
        before head and tail or, without markers, of their first tokens; and of each token `token_texts`, 0 if it is
        from the text and -1 if it is a special token or a marker, and its offsets in the text, `token_starts` and
        `token_ends`, int32 [B, S].
    """
    vocabulary = encode.tokenizer.vocabulary
    markers = marker_ids(vocabulary)
    ragged = encode.tokenizer.with_offsets(texts)
    # The padding adds one place, so that there is a maximum over places even if no text has a token.
    ids, starts, ends = (tf.pad(each.to_tensor(), [[0, 0], [0, 1]]) for each in ragged)
    batch, width = tf.unstack(tf.shape(ids))
    places = tf.range(width)
    exists = places < tf.cast(ragged[0].row_lengths(), tf.int32)[:, None]
    insides = [exists & (starts < span[:, 1:]) & (ends > span[:, :1]) for span in (heads, tails)]
    spans = [_first_and_last(inside, width) for inside in insides]
    kept = exists & (_ranks(places, exists, spans, width) < encode.sequence_length - 2 - len(markers))

    def column(value: int | float | tf.Tensor, dtype: tf.DType) -> tf.Tensor:
        return tf.fill([batch, 1], tf.cast(value, dtype))

    # All tokens of a row are put in the order of their places; markers stand between two places.
    place = [column(-1, tf.float32), tf.where(kept, tf.cast(places, tf.float32), _LAST)]
    token = [column(vocabulary.cls_id, tf.int32), ids]
    others = len(markers) + 1  # the markers and [SEP]
    of_text = tf.concat([column(-1, tf.int32), tf.zeros_like(ids), tf.fill([batch, others], -1)], 1)
    offsets = [tf.pad(each, [[0, 0], [1, others]]) for each in (starts, ends)]
    types = [column(0, tf.int32), tf.cast(insides[0] | insides[1], tf.int32)]
    for number, marker in enumerate(markers):
        first, last = spans[number // 2]
        # Of entities with the same first or last token, the head encloses the tail.
        aside = 0.4 if number < 2 else 0.3
        between = tf.cast(first, tf.float32) - aside if number % 2 == 0 else tf.cast(last, tf.float32) + aside
        place.append(tf.where(first < 0, _LAST, between)[:, None])
        token.append(column(marker, tf.int32))
        types.append(column(1, tf.int32))
    place.append(column(width + 1, tf.float32))
    token.append(column(vocabulary.sep_id, tf.int32))
    types.append(column(0, tf.int32))

    keys = tf.concat(place, 1)
    lengths = tf.reduce_sum(tf.cast(keys < _LAST, tf.int32), 1)
    order = tf.argsort(keys)[:, : tf.reduce_max(lengths)]
    mask = tf.sequence_mask(lengths, tf.shape(order)[1])
    positions = []
    for number, (first, _) in enumerate(spans):
        origin = 1 + width + 2 * number if markers else 1 + first
        here = (order == tf.reshape(origin, [-1, 1])) & mask & (first >= 0)[:, None]
        positions.append(tf.argmax(tf.cast(here, tf.int32), 1, tf.int32))  # 0, that of [CLS], if it is nowhere
    return {
        features.INPUT_WORD_IDS.name: tf.where(
            mask, tf.gather(tf.concat(token, 1), order, batch_dims=1), vocabulary.pad_id
        ),
        features.INPUT_MASK.name: tf.cast(mask, tf.int32),
        features.INPUT_TYPE_IDS.name: tf.where(mask, tf.gather(tf.concat(types, 1), order, batch_dims=1), 0),
        features.ENTITY_POSITIONS.name: tf.stack(positions, 1),
        "token_texts": tf.where(mask, tf.gather(of_text, order, batch_dims=1), -1),
        "token_starts": tf.gather(offsets[0], order, batch_dims=1),
        "token_ends": tf.gather(offsets[1], order, batch_dims=1),
    }


def _first_and_last(inside: tf.Tensor, width: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the first and the last place of each row that is inside, int32 [B] each; -1 if none is."""
    some = tf.reduce_any(inside, 1)
    flags = tf.cast(inside, tf.int32)
    first = tf.argmax(flags, 1, tf.int32)
    last = width - 1 - tf.argmax(tf.reverse(flags, [1]), 1, tf.int32)
    return tf.where(some, first, -1), tf.where(some, last, -1)


def _ranks(
    places: tf.Tensor, exists: tf.Tensor, spans: list[tuple[tf.Tensor, tf.Tensor]], width: tf.Tensor
) -> tf.Tensor:
    """Returns the rank of each token by its distance from the nearest entity, int32 [B, N]; first tokens come first."""
    far = width + 1
    distances = []
    for first, last in spans:
        distance = tf.maximum(tf.maximum(first[:, None] - places, places - last[:, None]), 0)
        distance = tf.where(places == first[:, None], -1, distance)
        distances.append(tf.where((first >= 0)[:, None], distance, far))
    nearest = tf.minimum(*distances)
    # float32 holds whole numbers up to 2^24 exactly; the fraction puts earlier tokens first.
    keys = tf.cast(nearest, tf.float64) + tf.cast(places, tf.float64) / tf.cast(far, tf.float64)
    keys = tf.where(exists, keys, tf.cast(3 * far, tf.float64))
    return tf.argsort(tf.argsort(keys, stable=True))
