import itertools

import numpy as np
import pytest
import tensorflow as tf

from kbert.layers.crf import ConditionalRandomField, log_likelihood, viterbi


@pytest.fixture(scope="module")
def tables():
    rng = np.random.default_rng(0)
    return {
        "start_transitions": tf.constant(rng.normal(size=(1, 3)), tf.float32),
        "end_transitions": tf.constant(rng.normal(size=(1, 3)), tf.float32),
        "transitions": tf.constant(rng.normal(size=(1, 3, 3)), tf.float32),
    }


def score(emissions, tags, tables):
    start, end, moves = (tables[name].numpy()[0] for name in ("start_transitions", "end_transitions", "transitions"))
    if not tags:
        return 0.0
    inside = sum(emissions[place, tag] for place, tag in enumerate(tags))
    return inside + start[tags[0]] + end[tags[-1]] + sum(moves[a, b] for a, b in itertools.pairwise(tags))


MASKS = np.array([[1, 1, 1, 1, 1], [0, 1, 0, 1, 1], [1, 1, 0, 0, 0], [0, 0, 0, 0, 0]], bool)


def test_every_sequence_by_hand(tables):
    """All paths of each sequence, places that do not count left out."""
    rng = np.random.default_rng(1)
    emissions = rng.normal(size=(4, 5, 3)).astype(np.float32)
    tags = rng.integers(0, 3, (4, 5)).astype(np.int32)
    likelihoods = log_likelihood(emissions, tags, MASKS, tables).numpy()
    best = viterbi(emissions, MASKS, tables).numpy()
    for row, mask in enumerate(MASKS):
        kept = emissions[row, mask]
        paths = list(itertools.product(range(3), repeat=int(mask.sum())))
        scores = np.array([score(kept, path, tables) for path in paths])
        expected = score(kept, tuple(tags[row, mask]), tables) - np.log(np.exp(scores).sum())
        assert likelihoods[row] == pytest.approx(expected, abs=1e-5)
        assert tuple(best[row, mask]) == paths[int(scores.argmax())]


def test_at_first_it_changes_nothing():
    layer = ConditionalRandomField(3)
    layer.build()
    emissions = np.random.default_rng(2).normal(size=(2, 6, 3)).astype(np.float32)
    mask = np.ones((2, 6), bool)
    np.testing.assert_array_equal(viterbi(emissions, mask, layer.outputs()), emissions.argmax(-1))
    tags = emissions.argmax(-1).astype(np.int32)
    expected = np.log(tf.nn.softmax(emissions).numpy().max(-1)).sum(-1)
    np.testing.assert_allclose(log_likelihood(emissions, tags, mask, layer.outputs()), expected, atol=1e-5)


def test_it_learns_what_may_follow():
    """Emissions say nothing; tags alternate."""
    layer = ConditionalRandomField(2)
    layer.build()
    tags = np.array([[0, 1] * 4] * 2, np.int32)
    emissions, mask = np.zeros((2, 8, 2), np.float32), np.ones((2, 8), bool)

    @tf.function
    def gradients():
        with tf.GradientTape() as tape:
            loss = -tf.reduce_sum(log_likelihood(emissions, tags, mask, layer.outputs()))
        return loss, tape.gradient(loss, [variable.value for variable in layer.trainable_variables])

    first, _ = gradients()
    for _ in range(30):
        loss, slopes = gradients()
        for variable, slope in zip(layer.trainable_variables, slopes, strict=True):
            variable.assign_sub(0.2 * slope)
    assert float(loss) < 0.1 * float(first)
    np.testing.assert_array_equal(viterbi(emissions, mask, layer.outputs()), tags)
