"""Spans of a context over its windows: the likeliest ones of a model's logits, and the places of given answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from kbert.layers.heads import MASKED_LOGIT
from kbert.tasks.objective import Tensors
from kbert.tasks.readers.question_answering import Answer


def best_spans(
    start_logits: tf.Tensor, end_logits: tf.Tensor, encoded: Tensors, *, longest: int, most: int
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The likeliest spans of each context, the best first.

    Args:
        start_logits: float32 [W, S], of windows over B contexts.
        end_logits: Likewise.
        encoded: The windows: `context` string [B], `window_rows` int [W], `in_context` bool, `token_starts` and
            `token_ends` int32 [W, S].
        longest: Longest span in tokens.
        most: How many are wanted, N.

    Returns:
        Sums of the logits of start and end, float32 [B, at most N], `MASKED_LOGIT` or below where a context has fewer
        spans; first characters and limits in the context, int32 of that shape.
    """
    count = tf.size(encoded["context"])
    rows = tf.cast(encoded["window_rows"], tf.int64)
    inside = encoded["in_context"]
    start_logits = tf.where(inside, start_logits, MASKED_LOGIT)
    end_logits = tf.where(inside, end_logits, MASKED_LOGIT)
    # Every pair of a start and an end up to the longest answer after it: [W, S, L].
    ends = tf.pad(end_logits, [[0, 0], [0, longest - 1]], constant_values=MASKED_LOGIT)
    pairs = tf.reshape(start_logits[..., None] + tf.signal.frame(ends, longest, 1), [tf.shape(inside)[0], -1])
    # Windows overlap, so that a pair may be among the best of two of them, and a window more at the end.
    some = tf.minimum(3 * most, tf.shape(pairs)[1])
    logits, places = tf.math.top_k(pairs, some)
    first = places // longest
    last = tf.minimum(first + places % longest, tf.shape(inside)[1] - 1)
    starts = tf.gather(encoded["token_starts"], first, batch_dims=1)
    limits = tf.gather(encoded["token_ends"], last, batch_dims=1)

    def by_context(values: tf.Tensor, fill: float | int) -> tf.Tensor:
        ragged = tf.RaggedTensor.from_value_rowids(values, rows, tf.cast(count, tf.int64))
        dense = ragged.to_tensor(fill)  # [B, windows, some]
        return tf.reshape(dense, [count, -1])

    return _best_different(
        by_context(logits, MASKED_LOGIT), by_context(starts, 0), by_context(limits, 0), 3 * most, most
    )


def _best_different(
    logits: tf.Tensor, starts: tf.Tensor, ends: tf.Tensor, some: int, most: int
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The `most` best of answers [B, K] that stand at different places, out of the best `some`."""
    logits, places = tf.math.top_k(logits, tf.minimum(some, tf.shape(logits)[1]))
    starts, ends = tf.gather(starts, places, batch_dims=1), tf.gather(ends, places, batch_dims=1)
    same = (starts[:, :, None] == starts[:, None]) & (ends[:, :, None] == ends[:, None])
    better = tf.linalg.band_part(tf.ones_like(same[0], tf.int32), -1, 0) - tf.eye(tf.shape(same)[1], dtype=tf.int32)
    repeated = tf.reduce_any(same & (better == 1), -1)
    logits, places = tf.math.top_k(tf.where(repeated, MASKED_LOGIT, logits), tf.minimum(most, tf.shape(logits)[1]))
    return logits, tf.gather(starts, places, batch_dims=1), tf.gather(ends, places, batch_dims=1)


def answer_positions(
    answers: Sequence[Answer | None], encoded: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """The first and the last token of the answer to each question in its windows.

    Args:
        answers: One a question, or None.
        encoded: As in `best_spans`; arrays.

    Returns:
        int32 [W] each; 0, the place of [CLS], where the answer is not all inside a window.
    """
    rows, inside = encoded["window_rows"], encoded["in_context"]
    begin = np.array([-1 if answer is None else answer.start for answer in answers])[rows]
    limit = np.array([-1 if answer is None else answer.start + len(answer.text.rstrip()) for answer in answers])[rows]
    begin += np.array([0 if a is None else len(a.text) - len(a.text.lstrip()) for a in answers])[rows]
    touches = inside & (encoded["token_starts"] < limit[:, None]) & (encoded["token_ends"] > begin[:, None])
    last_token = inside.shape[1] - 1 - inside[:, ::-1].argmax(-1)
    first_token = inside.argmax(-1)
    start = touches.argmax(-1)
    end = touches.shape[1] - 1 - touches[:, ::-1].argmax(-1)
    each = np.arange(len(rows))
    # All of the answer is inside if the window begins no later and ends no earlier than the answer does.
    whole = touches.any(-1) & (encoded["token_starts"][each, first_token] <= begin)
    whole &= encoded["token_ends"][each, last_token] >= limit
    return np.where(whole, start, 0).astype(np.int32), np.where(whole, end, 0).astype(np.int32)
