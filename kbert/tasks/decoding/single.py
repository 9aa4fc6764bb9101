"""Answers that grow independently of each other: greedy decoding, and sampling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from kbert import features
from kbert.layers.attention import MASK_BIAS
from kbert.tasks.decoding.loop import Answers, penalty, without_ends
from kbert.tasks.decoding.settings import Decoding
from kbert.tasks.decoding.token_rules import TokenRules

_LEAST_TEMPERATURE = 1e-6
"""The smallest divisor, by which no log probability overflows."""


class SingleState(NamedTuple):
    """The answers so far."""

    tokens: tf.Tensor
    """int32 [B, K, T + 1], of which the first are used."""
    lengths: tf.Tensor
    """The number of tokens of each answer, including its end, int32 [B, K]."""
    scores: tf.Tensor
    """The sums of the log probabilities, float32 [B, K]."""
    ended: tf.Tensor
    """Whether an answer has its end, bool [B, K]."""


class SingleAnswers:
    """Lets answers grow independently: with the likeliest token each time, or with drawn tokens.

    Args:
        rules: Computes the probabilities of next tokens.
        decoding: The settings.
        draws: Random numbers in [0, 1) for each token, float32 [B, K, T + 1]; None takes the likeliest tokens.
        temperature: The divisor of log probabilities before tokens are drawn, float32 [B], where 0 or less takes the
            likeliest token; None for that of the settings.
    """

    def __init__(
        self,
        rules: TokenRules,
        decoding: Decoding,
        draws: tf.Tensor | None = None,
        temperature: tf.Tensor | None = None,
    ) -> None:
        self.width = 1 if draws is None else decoding.answers
        self._rules = rules
        self._decoding = decoding
        self._longest = rules.longest
        self._draws = draws
        self._temperature = temperature

    def first(self, hidden: tf.Tensor) -> SingleState:
        """Returns the state with the first tokens; see `Strategy`."""
        shape = [tf.shape(hidden)[0], self.width]
        state = SingleState(
            tf.fill([*shape, self._longest + 1], self._rules.end_id),
            tf.zeros(shape, tf.int32),
            tf.zeros(shape),
            tf.zeros(shape, tf.bool),
        )
        return self.next(tf.repeat(hidden, self.width, axis=1), state, tf.constant(0))

    def next(self, hidden: tf.Tensor, state: SingleState, count: tf.Tensor) -> SingleState:
        """Returns the state with one more token; see `Strategy`."""
        scores = self._rules.log_probabilities(hidden, state.tokens, count)
        if self._draws is None:
            chosen = tf.argmax(scores, -1, tf.int32)
        else:
            chosen = self._drawn(scores, self._draws[..., count])
        gained = tf.gather(scores, chosen, batch_dims=2)
        chosen = tf.where(state.ended, self._rules.end_id, chosen)
        here = tf.range(self._longest + 1) == count
        return SingleState(
            tf.where(here, chosen[..., None], state.tokens),
            state.lengths + tf.cast(~state.ended, tf.int32),
            state.scores + tf.where(state.ended, 0.0, gained),
            state.ended | (chosen == self._rules.end_id),
        )

    def last_tokens(self, state: SingleState, count: tf.Tensor) -> tf.Tensor:
        """Returns the last tokens; see `Strategy`."""
        return state.tokens[..., count - 1]

    def bias(self, state: SingleState, count: tf.Tensor) -> tf.Tensor:
        """Returns the bias that shows each answer its own tokens only; see `Strategy`."""
        if self.width == 1:
            return tf.zeros([1, 1, 1, 1])
        return (1.0 - tf.tile(tf.eye(self.width), [1, count]))[None, None] * MASK_BIAS

    def unfinished(self, state: SingleState, count: tf.Tensor) -> tf.Tensor:
        """Returns whether an answer has no end; see `Strategy`."""
        return ~tf.reduce_all(state.ended)

    def answers(self, state: SingleState, count: tf.Tensor) -> Answers:
        """Returns the answers, best first; see `Strategy`."""
        scores = state.scores / penalty(state.lengths, self._decoding.length_penalty)
        scores, order = tf.math.top_k(scores, self.width)
        ids, lengths = (tf.gather(each, order, batch_dims=1) for each in (state.tokens, state.lengths))
        return without_ends(ids, lengths, scores, self._rules.end_id, count)

    def _drawn(self, scores: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """Draws tokens by their log probabilities, float32 [B, K, V] → int32 [B, K]."""
        if self._temperature is None:
            return self._places(scores / self._decoding.temperature, draws)
        # Clients of a served model send the temperatures, so that they may be 0 or negative.
        divisors = tf.maximum(self._temperature, _LEAST_TEMPERATURE)[:, None, None]
        drawn = self._places(scores / divisors, draws)
        return tf.where(self._temperature[:, None] > 0, drawn, tf.argmax(scores, -1, tf.int32))

    def _places(self, scores: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """Draws tokens by their divided log probabilities, float32 [B, K, V] → int32 [B, K]."""
        decoding = self._decoding
        size = scores.shape[-1]
        ids = None
        if decoding.top_k or decoding.top_p < 1:
            scores, ids = tf.math.top_k(scores, min(decoding.top_k or size, size))
        probabilities = tf.nn.softmax(scores)
        if decoding.top_p < 1:
            before = tf.cumsum(probabilities, -1, exclusive=True)
            probabilities = tf.where(before < decoding.top_p, probabilities, 0.0)
        sums = tf.cumsum(probabilities, -1)
        # The last token with a probability, if rounding puts a number at the end of the line.
        last = tf.reduce_sum(tf.cast(sums < sums[..., -1:], tf.int32), -1)
        places = tf.reduce_sum(tf.cast(sums <= draws[..., None] * sums[..., -1:], tf.int32), -1)
        places = tf.minimum(places, last)
        return places if ids is None else tf.gather(ids, places, batch_dims=2)


def random_draws(seeds: tf.Tensor, source: Mapping[str, tf.Tensor], answers: int, tokens: int) -> tf.Tensor:
    """Returns a random number in [0, 1) for each token of each answer, float32 [B, answers, tokens].

    The numbers of a text depend only on its seed and on the text, and not on the other texts of the batch.

    Args:
        seeds: The seeds, int64 [B].
        source: The features of the sources, int32 [B, S] each.
        answers: The number of answers.
        tokens: The number of tokens.
    """
    ids = tf.cast(source[features.INPUT_WORD_IDS.name] * source[features.INPUT_MASK.name], tf.int64)
    places = tf.range(1, tf.shape(ids, tf.int64)[1] + 1, dtype=tf.int64)
    return tf.map_fn(
        lambda seed: tf.random.stateless_uniform([answers, tokens], seed, alg="philox"),
        tf.stack([seeds, tf.reduce_sum(ids * places, 1)], 1),
        fn_output_signature=tf.TensorSpec([answers, tokens], tf.float32),
    )
