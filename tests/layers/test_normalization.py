import keras
import numpy as np
import pytest
import tensorflow as tf

from kbert.layers.normalization import LayerNorm


def layer(kind=LayerNorm, width=3):
    norm = kind(epsilon=1e-12)
    norm.build((None, None, width))
    norm.gamma.assign(np.linspace(0.5, 2, width))
    norm.beta.assign(np.linspace(-1, 1, width))
    return norm


@pytest.mark.parametrize("training", [False, True])
def test_vectors_have_the_mean_beta_and_the_deviation_gamma(training):
    norm = layer()
    # 1, 2, 6 have the mean 3 and the variance (4 + 1 + 9) / 3
    outputs = norm(np.array([[[1.0, 2.0, 6.0]]], np.float32), training=training)
    deviation = (14 / 3) ** 0.5
    expected = [-2 / deviation * 0.5 - 1, -1 / deviation * 1.25, 3 / deviation * 2 + 1]
    np.testing.assert_allclose(outputs, [[expected]], rtol=1e-6)


def test_gradients_are_those_of_the_operations():
    rng = np.random.default_rng(0)
    inputs, above = (tf.constant(rng.normal(size=(2, 5, 16)) * 3, tf.float32) for _ in range(2))
    found = []
    for norm, options in ((layer(keras.layers.LayerNormalization, 16), {}), (layer(width=16), {"training": True})):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = norm(inputs, **options)
        sources = [inputs, norm.gamma.value, norm.beta.value]
        found.append([outputs, *tape.gradient(outputs, sources, above)])
    for plain, ours in zip(*found, strict=True):
        assert plain.shape == ours.shape
        np.testing.assert_allclose(ours, plain, atol=5e-6)


def test_a_row_of_equal_values_is_beta():
    outputs = layer()(np.full((1, 1, 3), 7.0, np.float32), training=True)
    np.testing.assert_array_equal(outputs, [[[-1, 0, 1]]])
