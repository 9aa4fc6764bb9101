import numpy as np
import tensorflow as tf

from kbert.layers.gradients import own_gradient


def test_the_gradient_is_the_one_that_is_given():
    @own_gradient
    def product(left, right):
        return left * right, lambda above: (above * 10, above * 20)

    left, right = tf.constant([1.0, 2.0]), tf.constant([3.0, 4.0])
    with tf.GradientTape() as tape:
        tape.watch((left, right))
        outputs = product(left, right)
        total = tf.reduce_sum(outputs * [1.0, -1.0])
    np.testing.assert_array_equal(outputs, [3, 8])
    gradients = tape.gradient(total, (left, right))
    np.testing.assert_array_equal(gradients[0], [10, -10])
    np.testing.assert_array_equal(gradients[1], [20, -20])
