"""Attributions: the part of each word in the number that a model computes.

There are three methods:

- integrated-gradients (arXiv 1703.01365): the gradient with respect to the vectors of the tokens, averaged over the
  straight line from a text without its words to the text, times the change of the vectors on this line. The scores of
  all words add up to the change of the number. The integral is computed by the Gauss-Legendre rule, with twice as many
  points until the sum is within TOLERANCE of the change.
- gradient-x-input: the gradient at the text alone, times the same change. It is a single pass, and the scores do not
  add up.
- occlusion: the change of the number if a single word is replaced. It needs no gradient, and a pass for each word.

The absence of a word is the token that `ExplainedModel` has for it, in all methods.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from kbert.prediction.explanation.explained_model import ExplainedModel, ExplainedRows

INTEGRATED_GRADIENTS, GRADIENT_X_INPUT, OCCLUSION = "integrated-gradients", "gradient-x-input", "occlusion"
TOLERANCE = 0.01
"""The largest gap of integrated gradients: the difference between the sum of the scores and the change of the number,
as a part of the change."""
POINTS = (16, 32, 64, 128, 256)
"""The numbers of points of the integral. More are used only for texts whose gap is too large."""
_TOKENS_AT_ONCE = 2048
"""The number of tokens, with padding, whose gradients are computed together, so that memory is bounded."""


def integrated_gradients(model: ExplainedModel, rows: ExplainedRows) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the scores of the words, float32 [B, W], and the gaps, float32 [B], by integrated gradients."""
    embedded, absent = model.embedded(rows), model.embedded(model.without_words(rows))
    wanted = model.numbers(embedded, rows) - model.numbers(absent, rows)
    nodes, weights = _rules()

    def refined(place: tf.Tensor, scores: tf.Tensor, gaps: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        todo = tf.where(gaps > TOLERANCE)
        part = tf.nest.map_structure(lambda values: tf.gather(values, todo[:, 0]), rows)
        begin = tf.gather(absent, todo[:, 0])
        change = tf.gather(embedded, todo[:, 0]) - begin
        count = tf.gather(tf.constant(POINTS), place)
        gradient = mean_gradient(model, part, begin, change, nodes[place, :count], weights[place, :count])
        found = tf.reduce_sum(change * gradient, -1)
        gap = _gap(tf.reduce_sum(found, -1), tf.gather(wanted, todo[:, 0]))
        return (
            place + 1,
            tf.tensor_scatter_nd_update(scores, todo, found),
            tf.tensor_scatter_nd_update(gaps, todo, gap),
        )

    _, scores, gaps = tf.while_loop(
        lambda place, _, gaps: (place < len(POINTS)) & tf.reduce_any(gaps > TOLERANCE),
        refined,
        (tf.constant(0), tf.zeros_like(rows.ids, tf.float32), tf.fill(tf.shape(wanted), np.float32(np.inf))),
        parallel_iterations=1,
    )
    return of_words(scores, rows.words), gaps


def gradient_x_input(model: ExplainedModel, rows: ExplainedRows) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the scores of the words, float32 [B, W], and the gaps, float32 [B], by the gradient at the text."""
    embedded, absent = model.embedded(rows), model.embedded(model.without_words(rows))
    wanted = model.numbers(embedded, rows) - model.numbers(absent, rows)
    scores = tf.reduce_sum((embedded - absent) * model.gradients(embedded, rows), -1)
    return of_words(scores, rows.words), _gap(tf.reduce_sum(scores, -1), wanted)


def occlusion(model: ExplainedModel, rows: ExplainedRows) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the scores of the words, float32 [B, W], and the gaps, float32 [B], by replacing each word."""

    def number(given: ExplainedRows) -> tf.Tensor:
        return model.numbers(model.embedded(given), given)

    whole = number(rows)
    scores = tf.map_fn(
        lambda word: whole - number(model.without_words(rows, word)),
        tf.range(_word_count(rows.words)),
        fn_output_signature=tf.TensorSpec([None], tf.float32),
        parallel_iterations=1,
    )
    scores = tf.transpose(scores)
    return scores, _gap(tf.reduce_sum(scores, -1), whole - number(model.without_words(rows)))


Method = Callable[[ExplainedModel, ExplainedRows], tuple[tf.Tensor, tf.Tensor]]
METHODS: Mapping[str, Method] = {
    INTEGRATED_GRADIENTS: integrated_gradients,
    GRADIENT_X_INPUT: gradient_x_input,
    OCCLUSION: occlusion,
}
"""The methods by name: functions from a model and rows to the scores of the words and the gaps."""


def mean_gradient(
    model: ExplainedModel,
    rows: ExplainedRows,
    begin: tf.Tensor,
    change: tf.Tensor,
    nodes: tf.Tensor,
    weights: tf.Tensor,
) -> tf.Tensor:
    """Returns the weighted mean of the gradients at points of a line, float32 [B, S, H].

    Args:
        model: The model.
        rows: The rows.
        begin: The vectors at the beginning of the line, float32 [B, S, H].
        change: The vectors at its end minus those at its beginning, float32 [B, S, H].
        nodes: The points, from 0 to 1, float32 [K].
        weights: The weights of the points, whose sum is 1, float32 [K].
    """
    batch, length = tf.unstack(tf.shape(rows.ids))
    at_once = tf.maximum(1, _TOKENS_AT_ONCE // tf.maximum(1, batch * length))

    def add(first: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        part, share = nodes[first : first + at_once], weights[first : first + at_once]
        count = tf.size(part)
        points = begin + part[:, None, None, None] * change
        flat = tf.nest.map_structure(lambda values: _joined(tf.repeat(values[None], count, 0)), rows)
        gradients = tf.reshape(model.gradients(_joined(points), flat), tf.shape(points))
        return first + at_once, total + tf.reduce_sum(share[:, None, None, None] * gradients, 0)

    _, total = tf.while_loop(
        lambda first, _: first < tf.size(nodes),
        add,
        (tf.constant(0), tf.zeros_like(change)),
        shape_invariants=(tf.TensorShape([]), change.shape),
        parallel_iterations=1,
    )
    return total


def of_words(scores: tf.Tensor, words: tf.Tensor) -> tf.Tensor:
    """Returns the sums of the scores of tokens, float32 [B, S], over the words, float32 [B, W]."""
    count = _word_count(words)
    inside = words >= 0
    rows = tf.repeat(tf.range(tf.shape(words)[0])[:, None], tf.shape(words)[1], 1)
    places = tf.boolean_mask(rows * count + words, inside)
    flat = tf.math.unsorted_segment_sum(tf.boolean_mask(scores, inside), places, tf.shape(words)[0] * count)
    return tf.reshape(flat, [-1, count])


def _joined(values: tf.Tensor) -> tf.Tensor:
    """Returns a tensor whose first two dimensions are joined."""
    joined = tf.reshape(values, tf.concat([[-1], tf.shape(values)[2:]], 0))
    return tf.ensure_shape(joined, [None, *values.shape[2:]])


def _word_count(words: tf.Tensor) -> tf.Tensor:
    """Returns the largest number of words in a row, at least 1."""
    return tf.maximum(1, tf.reduce_max(words) + 1)


def _gap(total: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
    """Returns the difference of a sum of scores from the change of the number, as a part of the change."""
    return tf.abs(total - wanted) / tf.maximum(tf.abs(wanted), 1e-6)


def _rules() -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the nodes and the weights of the Gauss-Legendre rules on [0, 1], float32 [rules, most points] each."""
    nodes = np.zeros((len(POINTS), max(POINTS)), np.float32)
    weights = np.zeros_like(nodes)
    for place, count in enumerate(POINTS):
        at, share = np.polynomial.legendre.leggauss(count)
        nodes[place, :count], weights[place, :count] = (at + 1) / 2, share / 2
    return tf.constant(nodes), tf.constant(weights)
