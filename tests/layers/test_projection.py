import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from kbert.layers.activations import activation
from kbert.layers.projection import Projection, initializer, product, product_with_rows


def test_product_activation_and_bias():
    layer = Projection(2, "zeros", activation("relu"))
    layer.build((None, 3))
    layer.kernel.assign([[1, -1], [2, -2], [3, 3]])
    layer.bias.assign([0.5, -0.5])
    outputs = layer(np.array([[1, 1, 1], [1, 0, -1]], np.float32))
    np.testing.assert_array_equal(outputs, [[6.5, 0.0], [0.0, 0.0]])
    assert layer.compute_output_shape((7, 5, 3)) == (7, 5, 2)


def test_bfloat16_is_of_the_product_alone():
    # 1.001 is 1 in bfloat16; the bias is added in float32.
    layer = Projection(1, "ones", precision="bfloat16")
    layer.build((None, 1))
    layer.bias.assign([0.001])
    outputs = layer(np.array([[1.001]], np.float32))
    assert outputs.dtype == "float32"
    assert layer.kernel.dtype == "float32"
    assert float(outputs[0, 0]) == pytest.approx(1.001, abs=1e-7)
    assert float(product(np.float32([[1.001]]), np.float32([[1.0]]), "bfloat16")[0, 0]) == 1.0
    assert float(product(np.float32([[1.001]]), np.float32([[1.0]]), "float32")[0, 0]) == np.float32(1.001)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_products_with_the_rows_of_a_table_and_their_gradients(precision):
    rng = np.random.default_rng(0)
    left, table = (
        tf.constant(rng.normal(size=(3, 4)), tf.float32),
        tf.Variable(rng.normal(size=(5, 4)), dtype=tf.float32),
    )
    above = tf.constant(rng.normal(size=(3, 5)), tf.float32)
    outcomes = []
    for function in (product_with_rows, lambda a, b, dtype: product(a, ops.transpose(b), dtype)):
        with tf.GradientTape() as tape:
            tape.watch(left)
            outputs = function(left, table, precision)
        outcomes.append([outputs, *tape.gradient(outputs, [left, table], output_gradients=above)])
    for ours, plain in zip(*outcomes, strict=True):
        assert ours.shape == plain.shape
        np.testing.assert_allclose(ours, plain, rtol=1e-6)


def test_kernels_are_drawn_from_a_truncated_normal():
    values = np.asarray(initializer(0.02, keras.random.SeedGenerator(1))((200, 200)))
    assert np.abs(values).max() <= 0.04
    assert values.mean() == pytest.approx(0, abs=5e-4)
    assert values.std() == pytest.approx(0.0176, abs=5e-4)  # of a normal cut at two deviations


def test_draws_depend_on_the_seed_and_follow_each_other():
    first, again, other = (initializer(0.02, keras.random.SeedGenerator(seed)) for seed in (1, 1, 2))
    drawn = np.asarray(first((4, 4)))
    np.testing.assert_array_equal(drawn, again((4, 4)))
    assert not np.array_equal(drawn, other((4, 4)))
    assert not np.array_equal(drawn, first((4, 4)))
