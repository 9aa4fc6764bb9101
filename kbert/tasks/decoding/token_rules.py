"""The probabilities of next tokens, without tokens that must not follow."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import tensorflow as tf

from kbert.layers.heads import MASKED_LOGIT
from kbert.tasks.decoding.settings import Decoding
from kbert.text.vocabulary import CLS, MASK, PAD, UNK, Vocabulary

_UNUSED = re.compile(r"\[unused\d+\]")


class TokenRules:
    """Computes the log probabilities of next tokens.

    Tokens that are not text, such as [PAD], [UNK] and [unused1], have the probability 0, and so have the end of an
    answer that is too short, and tokens that would repeat an n-gram. The others have probabilities whose sum is 1. The
    longest answer is followed by its end with the probability 1.

    Args:
        model: A `PrefixLanguageModel`.
        vocabulary: The vocabulary of the model.
        decoding: The settings.
        longest: The largest number of tokens of an answer, without its end.
    """

    def __init__(self, model: Any, vocabulary: Vocabulary, decoding: Decoding, longest: int) -> None:
        self.end_id = vocabulary.sep_id
        self.longest = longest
        self._model = model
        self._decoding = decoding
        size = model.encoder.config.vocab_size
        bias = np.zeros(size, np.float32)
        bias[len(vocabulary) :] = MASKED_LOGIT
        for index, token in enumerate(vocabulary):
            if token in (PAD, UNK, CLS, MASK, "") or _UNUSED.fullmatch(token):
                bias[index] = MASKED_LOGIT
        bias[self.end_id] = 0.0
        self._bias = bias
        self._only_end = np.full(size, MASKED_LOGIT, np.float32)
        self._only_end[self.end_id] = 0.0

    def log_probabilities(self, hidden: tf.Tensor, tokens: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        """Returns the log probabilities of the next tokens, float32 [B, K, V].

        Args:
            hidden: The vectors of the last tokens of K answers to each source, float32 [B, K, H].
            tokens: The tokens of the answers so far, int32 [B, K, T], of which the first `count` are used.
            count: The number of tokens so far, an int32 scalar.
        """
        bias = tf.where(count == self.longest, self._only_end, self._bias)
        if self._decoding.min_target:
            too_short = tf.one_hot(self.end_id, len(self._bias)) * MASKED_LOGIT
            bias += tf.where(count < self._decoding.min_target, too_short, tf.zeros_like(too_short))
        logits = self._model.next_logits(hidden) + bias
        if self._decoding.no_repeat:
            logits = _without_repetitions(logits, tokens, count, self._decoding.no_repeat, self.end_id)
        return tf.nn.log_softmax(logits)


def _without_repetitions(logits: tf.Tensor, tokens: tf.Tensor, count: tf.Tensor, size: int, end_id: int) -> tf.Tensor:
    """Returns the logits without the tokens that would complete an n-gram of `size` tokens a second time.

    The end of an answer is always allowed.
    """
    longest = tokens.shape[-1]
    starts = longest - size + 1
    if starts < 1:
        return logits
    seen = tf.broadcast_to(tf.range(starts) + size - 1 < count, tf.shape(tokens[..., :starts]))
    for place in range(size - 1):
        last = tf.gather(tokens, tf.maximum(count - size + 1 + place, 0), axis=-1)
        seen &= tokens[..., place : place + starts] == last[..., None]
    following = tokens[..., size - 1 :]
    seen &= following != end_id
    flat = tf.reshape(logits, [-1, logits.shape[-1]])
    rows = tf.repeat(tf.range(tf.shape(flat)[0]), starts)
    places = tf.stack([rows, tf.reshape(following, [-1])], 1)
    updates = tf.reshape(tf.where(seen, MASKED_LOGIT, 0.0), [-1])
    return tf.reshape(tf.tensor_scatter_nd_add(flat, places, updates), tf.shape(logits))
