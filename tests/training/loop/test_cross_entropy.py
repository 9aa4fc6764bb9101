import numpy as np
import pytest
import tensorflow as tf

from kbert.training.loop.cross_entropy import cross_entropy

LABELS = np.array([[0, 2, 3], [1, 1, 0]], np.int32)


@pytest.fixture
def logits():
    return np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)


def test_by_hand():
    """softmax([0, log 3]) is [1/4, 3/4]."""
    loss, right = cross_entropy(tf.constant([0, 1]), tf.constant([[0, np.log(3)]] * 2, tf.float32))
    np.testing.assert_allclose(loss, [np.log(4), np.log(4 / 3)], rtol=1e-6)
    assert right.numpy().tolist() == [0, 1]


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("shift", [0.0, 1000.0, -1000.0])
def test_loss_and_gradient_are_tensorflows(logits, compiled, shift):
    weights = tf.constant([[1.0, 0.5, 0.0], [2.0, 1.0, 1.0]])

    def gradient(loss_of):
        @tf.function(jit_compile=compiled)
        def run(values):
            with tf.GradientTape() as tape:
                tape.watch(values)
                losses = loss_of(values)
                total = tf.reduce_sum(losses * weights)
            return losses, tape.gradient(total, values)

        return run(tf.constant(logits + shift))

    ours = gradient(lambda values: cross_entropy(tf.constant(LABELS), values)[0])
    theirs = gradient(lambda values: tf.nn.sparse_softmax_cross_entropy_with_logits(LABELS, values))
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-6, atol=2e-4 if shift else 1e-6)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-5, atol=1e-6)


def test_the_highest_logit_is_right(logits):
    _, right = cross_entropy(tf.constant(LABELS), tf.constant(logits))
    assert right.numpy().tolist() == (logits.argmax(-1) == LABELS).astype(float).tolist()


def test_of_equal_logits_the_first_is_the_prediction():
    _, right = cross_entropy(tf.constant([0, 1, 2]), tf.constant([[1.0, 3.0, 3.0]] * 3))
    assert right.numpy().tolist() == [0, 1, 0]


def test_a_logit_that_is_no_number_is_no_loss(logits):
    logits[0, 0, 3] = np.nan
    loss, _ = cross_entropy(tf.constant(LABELS), tf.constant(logits))
    assert np.isnan(loss.numpy()[0, 0])
    assert np.isfinite(loss.numpy()[1]).all()


def test_no_rows():
    loss, right = cross_entropy(tf.zeros([0], tf.int32), tf.zeros([0, 5]))
    assert loss.shape == right.shape == (0,)
