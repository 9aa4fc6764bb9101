"""Beam search, whose answers never score below the greedy answer."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from kbert.layers.attention import MASK_BIAS
from kbert.tasks.decoding.loop import Answers, penalty, without_ends
from kbert.tasks.decoding.settings import Decoding
from kbert.tasks.decoding.token_rules import TokenRules

_DEAD = -1e9
"""The score of a beam or an answer that does not exist."""
_FIRST = 1e6
"""Is added to the score of the greedy candidate, which thereby becomes the first."""


class BeamState(NamedTuple):
    """The K beams, which are beginnings of answers, and the K best complete answers so far."""

    tokens: tf.Tensor
    """The tokens of the beams, int32 [B, K, T + 1], of which the first are used."""
    scores: tf.Tensor
    """The log probabilities of the beams, float32 [B, K], in falling order after the first beam."""
    origins: tf.Tensor
    """The beam in which each token of a beam was computed, int32 [B, K, T + 1]."""
    greedy: tf.Tensor
    """Whether the first beam is the greedy one, bool [B]; after the greedy answer is complete, it is not."""
    done: tf.Tensor
    """The tokens of complete answers with their ends, int32 [B, K, T + 1]."""
    done_lengths: tf.Tensor
    """The number of tokens of complete answers, including their ends, int32 [B, K]."""
    done_scores: tf.Tensor
    """The log probabilities of complete answers divided by the length penalty, float32 [B, K], in falling order."""


class BeamSearch:
    """A beam search in which the first beam is always the greedy one.

    A plain beam search can lose the greedy answer, and end with a worse one. Here the first beam takes the likeliest
    token each time, and the other beams hold the best of all other candidates.

    The keys and values of the beams are never moved: a beam that continues another one sees, by `origins`, the tokens
    where they were computed.

    Args:
        rules: Computes the probabilities of next tokens.
        decoding: The settings.
    """

    def __init__(self, rules: TokenRules, decoding: Decoding) -> None:
        self.width = decoding.beams
        self._rules = rules
        self._decoding = decoding
        self._longest = rules.longest

    def first(self, hidden: tf.Tensor) -> BeamState:
        """Returns the state with the first tokens; see `Strategy`."""
        batch, width = tf.shape(hidden)[0], self.width
        tokens = tf.fill([batch, width, self._longest + 1], self._rules.end_id)
        dead = tf.fill([batch, width], _DEAD)
        state = BeamState(
            tokens,
            tf.concat([tf.zeros([batch, 1]), dead[:, 1:]], 1),
            tf.zeros_like(tokens),
            tf.ones([batch], tf.bool),
            tokens,
            tf.ones([batch, width], tf.int32),
            dead,
        )
        return self.next(tf.repeat(hidden, width, axis=1), state, tf.constant(0))

    def next(self, hidden: tf.Tensor, state: BeamState, count: tf.Tensor) -> BeamState:
        """Returns the state with one more token; see `Strategy`."""
        width, end_id = self.width, self._rules.end_id
        gained = self._rules.log_probabilities(hidden, state.tokens, count)
        # At most one candidate of a beam is its end, so 2 K candidates include K that are none.
        most = min(2 * width, gained.shape[-1])
        gained, ids = tf.math.top_k(gained, most)
        totals = tf.reshape(state.scores[..., None] + gained, [-1, width * most])
        is_greedy = (tf.range(width * most) == 0) & state.greedy[:, None]
        ranks, places = tf.math.top_k(totals + tf.where(is_greedy, _FIRST, 0.0), min(2 * width, width * most))
        totals = tf.gather(totals, places, batch_dims=1)
        ids = tf.gather(tf.reshape(ids, [-1, width * most]), places, batch_dims=1)
        parents = places // most
        ends = ids == end_id
        tokens = self._with_tokens(tf.gather(state.tokens, parents, batch_dims=1), ids, count)
        done, done_lengths, done_scores = self._complete(state, tokens, tf.where(ends, totals, _DEAD), count)
        # Ranks of ends are below all others, and the greedy candidate is above all others.
        _, kept = tf.math.top_k(tf.where(ends, ranks + 2 * _DEAD, ranks), width)
        tokens, totals, parents = (tf.gather(each, kept, batch_dims=1) for each in (tokens, totals, parents))
        origins = tf.gather(state.origins, parents, batch_dims=1)
        return BeamState(
            tokens,
            totals,
            self._with_tokens(origins, tf.broadcast_to(tf.range(width), tf.shape(totals)), count),
            state.greedy & ~ends[:, 0],
            done,
            done_lengths,
            done_scores,
        )

    def last_tokens(self, state: BeamState, count: tf.Tensor) -> tf.Tensor:
        """Returns the last tokens; see `Strategy`."""
        return state.tokens[..., count - 1]

    def bias(self, state: BeamState, count: tf.Tensor) -> tf.Tensor:
        """Returns the bias that shows each beam its own tokens only; see `Strategy`."""
        own = tf.one_hot(state.origins[..., :count], self.width)  # [B, K, count, K]
        own = tf.reshape(own, [-1, self.width, count * self.width])
        return (1.0 - own)[:, None] * MASK_BIAS

    def unfinished(self, state: BeamState, count: tf.Tensor) -> tf.Tensor:
        """Returns whether a beam can still become one of the answers; see `Strategy`."""
        # Log probabilities only fall, and the penalty of the longest answer is the largest.
        best = tf.reduce_max(state.scores, 1) / penalty(tf.constant(self._longest + 1), self._decoding.length_penalty)
        return tf.reduce_any(state.done_scores[:, self._decoding.answers - 1] < best)

    def answers(self, state: BeamState, count: tf.Tensor) -> Answers:
        """Returns the best answers; see `Strategy`."""
        best = slice(self._decoding.answers)
        return without_ends(
            state.done[:, best], state.done_lengths[:, best], state.done_scores[:, best], self._rules.end_id, count
        )

    def _complete(
        self, state: BeamState, tokens: tf.Tensor, scores: tf.Tensor, count: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns the K best answers among those of the state and new ones of `count` + 1 tokens.

        Args:
            state: The state.
            tokens: The tokens of new answers, int32 [B, C, T + 1].
            scores: Their log probabilities, float32 [B, C].
            count: The number of their tokens, less 1.
        """
        new = scores / tf.where(scores > _DEAD / 2, penalty(count + 1, self._decoding.length_penalty), 1.0)
        scores, kept = tf.math.top_k(tf.concat([state.done_scores, new], 1), self.width)
        lengths = tf.concat([state.done_lengths, tf.fill(tf.shape(new), count + 1)], 1)
        tokens = tf.concat([state.done, tokens], 1)
        return tf.gather(tokens, kept, batch_dims=1), tf.gather(lengths, kept, batch_dims=1), scores

    def _with_tokens(self, rows: tf.Tensor, values: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        """Returns rows, int32 [B, K, T + 1], with values [B, K] at the place `count`."""
        return tf.where(tf.range(self._longest + 1) == count, values[..., None], rows)
