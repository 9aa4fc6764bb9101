import numpy as np
import pytest
import tensorflow as tf

from kbert.tasks.smoothed_cross_entropy import smoothed_cross_entropy


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_it_has_the_values_and_gradients_of_tensorflow(smoothing):
    rng = np.random.default_rng(0)
    logits = tf.constant(rng.normal(0, 3, (5, 7)), tf.float32)
    labels, weights = tf.constant([0, 6, 3, 3, 1]), tf.constant([1.0, 2.0, 0.0, 1.0, 0.5])
    soft = tf.one_hot(labels, 7) * (1 - smoothing) + smoothing / 7
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(logits)
        loss, right = smoothed_cross_entropy(labels, logits, smoothing)
        expected = tf.nn.softmax_cross_entropy_with_logits(soft, logits)
        ours, theirs = tf.reduce_sum(weights * loss), tf.reduce_sum(weights * expected)
    np.testing.assert_allclose(loss, expected, atol=1e-5)
    np.testing.assert_allclose(tape.gradient(ours, logits), tape.gradient(theirs, logits), atol=1e-6)
    assert right.numpy().tolist() == (np.argmax(logits, 1) == labels.numpy()).astype(float).tolist()
