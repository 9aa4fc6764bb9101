"""Spans in the windows of a context: the likeliest spans by a model's logits, and the positions of known answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from kbert.layers.heads import MASKED_LOGIT
from kbert.tasks.protocol.objective import Tensors
from kbert.tasks.readers.question_answering import Answer


def best_spans(
    start_logits: tf.Tensor, end_logits: tf.Tensor, encoded: Tensors, *, longest: int, most: int
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns the likeliest spans of each context, the best first.

    Args:
        start_logits: The logits of starts in W windows over B contexts, float32 [W, S].
        end_logits: The logits of ends, float32 [W, S].
        encoded: The windows: `context`, string [B]; `window_rows`, int [W]; `in_context`, bool [W, S]; `token_starts`
            and `token_ends`, int32 [W, S].
        longest: The length of the longest span in tokens.
        most: The number of spans to return, N.

    Returns:
        The sums of start and end logits, float32 [B, at most N], which are `MASKED_LOGIT` or below if a context has
        fewer spans; and the start and end offsets in the context, int32 of the same shape.
    """
    count = tf.size(encoded["context"])
    rows = tf.cast(encoded["window_rows"], tf.int64)
    inside = encoded["in_context"]
    start_logits = tf.where(inside, start_logits, MASKED_LOGIT)
    end_logits = tf.where(inside, end_logits, MASKED_LOGIT)
    # The pairs of each start with the ends of spans of at most L = `longest` tokens: [W, S, L].
    ends = tf.pad(end_logits, [[0, 0], [0, longest - 1]], constant_values=MASKED_LOGIT)
    pairs = tf.reshape(start_logits[..., None] + tf.signal.frame(ends, longest, 1), [tf.shape(inside)[0], -1])
    # Windows overlap, so a span may be among the best of two windows, and of three at the end of a context.
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
    """Returns the `most` best of the answers [B, K] that differ in start or end, out of the best `some`."""
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
    """Returns the first and the last token of the answer in each window of its question.

    Args:
        answers: The answer to each question; None if it has none.
        encoded: The windows as in `best_spans`, as arrays.

    Returns:
        The positions of the two tokens, int32 [W] each. Both are 0, the position of [CLS], if a window does not hold
        the whole answer.
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
    # The whole answer is inside a window if the window begins no later and ends no earlier than the answer.
    whole = touches.any(-1) & (encoded["token_starts"][each, first_token] <= begin)
    whole &= encoded["token_ends"][each, last_token] >= limit
    return np.where(whole, start, 0).astype(np.int32), np.where(whole, end, 0).astype(np.int32)
