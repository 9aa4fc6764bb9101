"""The window and the tokens of an answer in a context that are explained, as operations of a graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from kbert.tasks.explained.best_rows import LOWEST, best_rows
from kbert.tasks.protocol.explaining import ExplainedPart, TokenPlaces
from kbert.tasks.protocol.objective import Tensors


class ExplainedAnswers(NamedTuple):
    """The explained answer to each question."""

    windows: tf.Tensor
    """The window that holds the answer, int32 [B]."""
    positions: tf.Tensor
    """The first and the last token of the answer in this window, int32 [B, 2]; 0, that of [CLS], for "no answer"."""


def explained_answers(outputs: Tensors, encoded: Tensors, starts: tf.Tensor, ends: tf.Tensor) -> ExplainedAnswers:
    """Returns the places of answers in the windows of their contexts.

    Windows overlap. Of those that hold most of an answer, the one with the largest logits counts. The logit of "no
    answer" is that of [CLS] in the window where it is the lowest.

    Args:
        outputs: The outputs of the model, `start_logits` and `end_logits`, float32 [W, S] each.
        encoded: The windows, from `QuestionAnsweringTask.encode`.
        starts: The offset of the first character of each answer in its context, int32 [B].
        ends: The offset after its last character, int32 [B]; not above the start for "no answer".
    """
    rows, count = encoded["window_rows"], tf.size(encoded["context"])
    start_logits, end_logits = outputs["start_logits"], outputs["end_logits"]
    inside = encoded["in_context"] & (encoded["token_starts"] < tf.gather(ends, rows)[:, None])
    inside &= encoded["token_ends"] > tf.gather(starts, rows)[:, None]
    tokens = tf.cast(inside, tf.int32)
    first = tf.argmax(tokens, -1, tf.int32)
    last = tf.shape(tokens)[1] - 1 - tf.argmax(tf.reverse(tokens, [1]), -1, tf.int32)
    held = tf.reduce_sum(tokens, -1)
    most = tf.math.segment_max(held, rows)
    logits = tf.gather(start_logits, first, batch_dims=1) + tf.gather(end_logits, last, batch_dims=1)
    answered = tf.gather(most, rows) > 0
    values = tf.where(answered, logits, -(start_logits[:, 0] + end_logits[:, 0]))
    windows = best_rows(tf.where(held == tf.gather(most, rows), values, LOWEST), rows, count)
    positions = tf.where(answered[:, None], tf.stack([first, last], 1), 0)
    return ExplainedAnswers(windows, tf.gather(positions, windows))


def explained_answer_part(
    served: Tensors, outputs: Tensors, encoded: Tensors, span: tf.Tensor, features: Sequence[str]
) -> ExplainedPart:
    """Returns the answers that a model gives, or given spans of their contexts, as parts that are explained.

    Args:
        served: The answers of the model, with `start` and `end`, int32 [B] each.
        outputs: The outputs of the model, `start_logits` and `end_logits`, float32 [W, S] each.
        encoded: The windows, from `QuestionAnsweringTask.encode`.
        span: The character offsets that the caller chose, int32 [B, 2]; an empty span for no choice.
        features: The names of the features of the model.
    """
    given = span[:, 1] > span[:, 0]
    starts = tf.where(given, span[:, 0], served["start"])
    ends = tf.where(given, span[:, 1], served["end"])
    found = explained_answers(outputs, encoded, starts, ends)

    def of_window(values: tf.Tensor) -> tf.Tensor:
        return tf.gather(values, found.windows)

    # The offsets of special tokens are 0, and those of other tokens are not empty.
    in_question = ~encoded["in_context"] & (encoded["token_ends"] > encoded["token_starts"])
    texts = tf.where(encoded["in_context"], 1, tf.where(in_question, 0, -1))
    context = tf.strings.unicode_transcode(encoded["context"], "UTF-8", "UTF-8")
    exists = tf.reduce_any(found.positions > 0, -1)
    starts, ends = tf.where(exists, starts, 0), tf.where(exists, ends, 0)
    return ExplainedPart(
        {name: of_window(encoded[name]) for name in features},
        TokenPlaces(of_window(texts), of_window(encoded["token_starts"]), of_window(encoded["token_ends"])),
        found.positions,
        {"answer": tf.strings.substr(context, starts, ends - starts, unit="UTF8_CHAR"), "start": starts, "end": ends},
    )
