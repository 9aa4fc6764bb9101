"""The span of each text whose tag is explained, and its tokens, as operations of a graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from kbert.layers.heads import MASKED_LOGIT
from kbert.tasks.answers.spans import FoundSpans
from kbert.tasks.explained.best_rows import LOWEST, best_rows
from kbert.tasks.protocol.explaining import LABEL, SPAN, ExplainedPart, TokenPlaces
from kbert.tasks.protocol.objective import Tensors


class ExplainedSpans(NamedTuple):
    """The explained span of each text."""

    starts: tf.Tensor
    """The offset of the first character, int32 [B]."""
    ends: tf.Tensor
    """The offset after the last character, int32 [B]."""
    kinds: tf.Tensor
    """The index of the kind whose log odds are explained, int32 [B]."""
    exist: tf.Tensor
    """Whether the span has a word, bool [B]."""
    windows: tf.Tensor
    """The window that holds most of its words, int32 [B]."""
    tokens: tf.Tensor
    """The kind at the first tokens of its words in this window, and -1 at other tokens, int32 [B, S]."""


def kind_log_odds(logits: tf.Tensor, kinds: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Returns the log odds that the tag of each token is of a kind, float32 of the shape of the target.

    A kind is a type of entities, which may have several tags, such as B-PER and I-PER.

    Args:
        logits: The logits of the tags, float32 [..., C].
        kinds: The kind of each tag, int32 [C]; -1 for O.
        target: The kind of each token, int32 [...].
    """
    of_kind = kinds == target[..., None]
    inside = tf.reduce_logsumexp(tf.where(of_kind, logits, MASKED_LOGIT), -1)
    return inside - tf.reduce_logsumexp(tf.where(of_kind, MASKED_LOGIT, logits), -1)


def mean_log_odds(logits: tf.Tensor, kinds: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Returns the mean log odds of the tokens of a span, float32 [B].

    Args:
        logits: The logits of the tags, float32 [B, S, C].
        kinds: The kind of each tag, int32 [C]; -1 for O.
        target: `ExplainedSpans.tokens`.
    """
    inside = target >= 0
    total = tf.reduce_sum(tf.where(inside, kind_log_odds(logits, kinds, target), 0.0), -1)
    return total / tf.maximum(1.0, tf.reduce_sum(tf.cast(inside, tf.float32), -1))


def explained_spans(
    logits: tf.Tensor,
    kinds: tf.Tensor,
    count: int,
    found: FoundSpans,
    encoded: Tensors,
    label: tf.Tensor,
    span: tf.Tensor,
) -> ExplainedSpans:
    """Returns the span of each text that is explained.

    It is the given span, or else the predicted one with the highest score. If no span is predicted, it is the word that
    is nearest to being one. With a label only the spans of this kind count; without it the kind is that of the
    predicted span, or the likeliest one of a given span.

    Args:
        logits: The logits of the tags of all N words, float32 [N, C].
        kinds: The kind of each tag, int32 [C]; -1 for O.
        count: The number of kinds, K.
        found: The predicted spans. Their types are kinds.
        encoded: The places of the words, from `TaggingTask.encode`.
        label: The kind that the caller chose, int32 [B]; -1 for no choice.
        span: The character offsets that the caller chose, int32 [B, 2]; an empty span for no choice.
    """
    rows, texts = encoded["word_rows"], tf.size(encoded["text"])
    odds = kind_log_odds(logits[:, None], kinds, tf.tile(tf.range(count)[None], [tf.size(rows), 1]))  # [N, K]
    fits = (tf.gather(label, found.rows) < 0) | (tf.gather(label, found.rows) == found.types)
    entity = best_rows(tf.where(fits, found.scores, LOWEST), found.rows, texts)
    wanted = tf.gather(label, rows)
    nearest = tf.where(wanted < 0, tf.reduce_max(odds, -1), tf.gather(odds, tf.maximum(wanted, 0), batch_dims=1))
    word = best_rows(nearest, rows, texts)
    given, predicted = span[:, 1] > span[:, 0], entity < tf.size(found.rows)

    def chosen(of_caller: tf.Tensor, of_entities: tf.Tensor, of_words: tf.Tensor) -> tf.Tensor:
        of_entities, of_words = (tf.concat([each, [0]], 0) for each in (of_entities, of_words))
        otherwise = tf.where(predicted, tf.gather(of_entities, entity), tf.gather(of_words, word))
        return tf.where(given, of_caller, otherwise)

    starts = chosen(span[:, 0], found.starts, encoded["word_starts"])
    ends = chosen(span[:, 1], found.ends, encoded["word_ends"])
    inside = (encoded["word_starts"] < tf.gather(ends, rows)) & (encoded["word_ends"] > tf.gather(starts, rows))
    words = tf.math.unsorted_segment_sum(tf.cast(inside, tf.int32), rows, texts)
    likeliest = tf.argmax(tf.math.unsorted_segment_sum(tf.where(inside[:, None], odds, 0.0), rows, texts), -1, tf.int32)
    kind = tf.where(given | ~predicted, likeliest, tf.gather(tf.concat([found.types, [0]], 0), entity))
    kind = tf.where(label >= 0, label, kind)

    mask = encoded["word_mask"]
    tokens = tf.scatter_nd(tf.where(mask), tf.cast(inside, tf.int32), tf.shape(mask, tf.int64)) == 1
    windows = best_rows(tf.reduce_sum(tf.cast(tokens, tf.float32), -1), encoded["window_rows"], texts)
    return ExplainedSpans(
        starts, ends, kind, words > 0, windows, tf.where(tf.gather(tokens, windows), kind[:, None], -1)
    )


def explained_span_part(
    logits: tf.Tensor,
    kinds: tf.Tensor,
    names: Sequence[str],
    found: FoundSpans,
    encoded: Tensors,
    chosen: Tensors,
    features: Sequence[str],
) -> ExplainedPart:
    """Returns the span of each text that is explained, as the part of the answer.

    Args:
        logits: The logits of the tags of all N words, float32 [N, C].
        kinds: The kind of each tag, int32 [C]; -1 for O.
        names: The names of the kinds.
        found: The predicted spans. Their types are kinds.
        encoded: The places of the words, from `TaggingTask.encode`.
        chosen: The label and the span that the caller chose; see `explained_spans`.
        features: The names of the features of the model.
    """
    spans = explained_spans(logits, kinds, len(names), found, encoded, chosen[LABEL], chosen[SPAN])

    def of_window(name: str) -> tf.Tensor:
        return tf.gather(encoded[name], spans.windows)

    return ExplainedPart(
        {name: of_window(name) for name in features},
        TokenPlaces(tf.where(of_window("in_text"), 0, -1), of_window("token_starts"), of_window("token_ends")),
        spans.tokens,
        {
            LABEL: tf.where(spans.exist, tf.gather(tf.constant(list(names)), spans.kinds), ""),
            "start": tf.where(spans.exist, spans.starts, 0),
            "end": tf.where(spans.exist, spans.ends, 0),
        },
    )
