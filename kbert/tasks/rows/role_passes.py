"""The rows of tokens for the roles of predicates, and the tags of their words, as operations of a graph."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from kbert import features
from kbert.layers.crf import viterbi
from kbert.tasks.answers.spans import FoundSpans
from kbert.tasks.protocol.objective import Tensors
from kbert.tasks.readers.tag_schemes import OUTSIDE, split_tag
from kbert.tasks.rows.windowed_words import continues_word
from kbert.text.graph.encoder import GraphEncoder

_FORBIDDEN = -1e4
"""The score of a tag that cannot follow another one."""


def given_spans(predicates: tf.Tensor) -> FoundSpans:
    """Returns given predicates as spans with a score of 1.

    Args:
        predicates: The places of the predicates of each text, int32 [B, K, 2]; 0 in unused places.
    """
    used = tf.where(predicates[..., 1] > predicates[..., 0])
    places = tf.gather_nd(predicates, used)
    count = tf.shape(places)[0]
    return FoundSpans(
        tf.cast(used[:, 0], tf.int32), places[:, 0], places[:, 1], tf.zeros([count], tf.int32), tf.ones([count])
    )


def spans_in_order(found: FoundSpans, given: FoundSpans) -> FoundSpans:
    """Returns the given spans, and the found ones of texts without given spans, in the order of their texts."""
    other = tf.reduce_all(found.rows[:, None] != given.rows[None], 1)
    parts = [tf.boolean_mask(each, other) for each in found]
    rows, starts, ends, types, scores = (tf.concat(pair, 0) for pair in zip(parts, given, strict=True))
    order = tf.argsort(_keys(rows, starts, tf.reduce_max(tf.concat([[0], ends], 0))))
    return FoundSpans(*(tf.gather(each, order) for each in (rows, starts, ends, types, scores)))


def predicate_rows(encode: GraphEncoder, encoded: Tensors, predicates: FoundSpans) -> dict[str, tf.Tensor]:
    """Returns a row of tokens for each of P predicates, in which the tokens of the predicate have the type 1.

    The row of a predicate is the window in which its first word counts. A last row, [CLS] [SEP], belongs to no
    predicate, so that there is always a row.

    Args:
        encode: The tokenizer in the graph.
        encoded: The windows over the texts, from `SemanticRolesTask.encode`.
        predicates: The predicates. Those without a word are left out.

    Returns:
        The features of the rows, int32 [P + 1, S]; the places of their words, as in `encoded`; the texts; and of each
        predicate `predicate_rows`, the index of its text, `predicate_starts`, `predicate_ends` and `predicate_scores`,
        [P].
    """
    limit = tf.reduce_max(tf.concat([[0], encoded["word_ends"], predicates.ends], 0))
    words = _keys(encoded["word_rows"], encoded["word_starts"], limit)
    word = tf.searchsorted(words, _keys(predicates.rows, predicates.starts, limit), side="right") - 1
    # The last entry stands for no word.
    of_word = tf.concat([encoded["word_rows"], [-1]], 0)
    windows = tf.concat([tf.cast(tf.where(encoded["word_mask"])[:, 0], tf.int32), [0]], 0)
    there = tf.gather(of_word, tf.where(word < 0, tf.size(words), word)) == predicates.rows
    window = tf.boolean_mask(tf.gather(windows, tf.maximum(word, 0)), there)
    rows, starts, ends, _, scores = (tf.boolean_mask(each, there) for each in predicates)

    ids, mask, inside, token_starts, token_ends = (
        tf.gather(encoded[name], window)
        for name in (
            features.INPUT_WORD_IDS.name,
            features.INPUT_MASK.name,
            "in_text",
            "token_starts",
            "token_ends",
        )
    )
    types = tf.cast(inside & (token_starts < ends[:, None]) & (token_ends > starts[:, None]), tf.int32)
    begins = inside & ~continues_word(encode, ids)
    # A window may begin within a word.
    counted = inside & (tf.cumsum(tf.cast(begins, tf.int32), 1) > 0)
    in_word = tf.cumsum(tf.cast(tf.boolean_mask(begins, counted), tf.int32)) - 1
    vocabulary = encode.tokenizer.vocabulary

    def with_last(values: tf.Tensor, last: Sequence[int]) -> tf.Tensor:
        width = tf.shape(values)[1]
        row = tf.pad(tf.constant([last], values.dtype), [[0, 0], [0, width - len(last)]])
        return tf.concat([values, row], 0)

    return {
        features.INPUT_WORD_IDS.name: with_last(
            tf.where(mask == 1, ids, vocabulary.pad_id), [vocabulary.cls_id, vocabulary.sep_id]
        ),
        features.INPUT_MASK.name: with_last(mask, [1, 1]),
        features.INPUT_TYPE_IDS.name: with_last(types, [0, 0]),
        "word_mask": with_last(tf.cast(begins, tf.int32), [0, 0]) == 1,
        "word_rows": tf.cast(tf.where(begins)[:, 0], tf.int32),
        "word_starts": tf.boolean_mask(token_starts, begins),
        "word_ends": tf.math.segment_max(tf.boolean_mask(token_ends, counted), in_word),
        "text": encoded["text"],
        "predicate_rows": rows,
        "predicate_starts": starts,
        "predicate_ends": ends,
        "predicate_scores": scores,
    }


def _keys(rows: tf.Tensor, places: tf.Tensor, limit: tf.Tensor) -> tf.Tensor:
    """Returns the places in one long text, int64, given that no place in a text is beyond a limit."""
    stretch = tf.cast(limit, tf.int64) + 1
    return tf.cast(rows, tf.int64) * stretch + tf.cast(places, tf.int64)


def best_tags(logits: tf.Tensor, rows: tf.Tensor, count: tf.Tensor, labels: Sequence[str]) -> tf.Tensor:
    """Returns the likeliest tags of the words of each row, of those in which each I- follows a B- or I- of its type.

    Args:
        logits: The logits of the words of all rows, float32 [N, C].
        rows: The row of each word, int32 [N].
        count: The number of rows.
        labels: The tags, in IOB2.

    Returns:
        The index of the tag of each word, int32 [N].
    """
    sentences = tf.RaggedTensor.from_value_rowids(logits, tf.cast(rows, tf.int64), tf.cast(count, tf.int64))
    # The padding adds one place, so that the tensor is not empty if there are no words.
    emissions = tf.ensure_shape(tf.pad(sentences.to_tensor(), [[0, 0], [0, 1], [0, 0]]), [None, None, len(labels)])
    mask = tf.sequence_mask(sentences.row_lengths(), tf.shape(emissions)[1])
    return tf.boolean_mask(viterbi(emissions, mask, _tables(labels)), mask)


def _tables(labels: Sequence[str]) -> dict[str, tf.Tensor]:
    """Returns tables of a CRF that only forbid tags: an I- after anything but a B- or I- of its type."""
    parts = [split_tag(label) for label in labels]
    allowed = np.array(
        [[letter != "I" or (label != OUTSIDE and before == kind) for letter, kind in parts]
         for label, (_, before) in zip(labels, parts, strict=True)]
    )  # fmt: skip
    start = np.array([letter != "I" for letter, _ in parts])
    return {
        "start_transitions": tf.constant(np.where(start, 0.0, _FORBIDDEN)[None], tf.float32),
        "end_transitions": tf.zeros([1, len(parts)]),
        "transitions": tf.constant(np.where(allowed, 0.0, _FORBIDDEN)[None], tf.float32),
    }
