import numpy as np
import pytest
import tensorflow as tf

from kbert.config import ACTIVATIONS
from kbert.layers.activations import activation


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gelu", [-0.04550026, -0.15865525, 0.0, 0.8413447, 1.9544997]),
        ("gelu_new", [-0.04540231, -0.15880801, 0.0, 0.84119199, 1.9545977]),
        ("gelu_pytorch_tanh", [-0.04540231, -0.15880801, 0.0, 0.84119199, 1.9545977]),
        ("relu", [0.0, 0.0, 0.0, 1.0, 2.0]),
    ],
)
def test_values_of_each_activation(name, expected):
    values = np.array([-2, -1, 0, 1, 2], np.float32)
    np.testing.assert_allclose(activation(name)(values), expected, atol=1e-6)


def test_the_two_forms_of_gelu_differ_by_five_ten_thousandths_at_most():
    values = np.linspace(-6, 6, 10_001, dtype=np.float32)
    largest = np.abs(np.asarray(activation("gelu")(values)) - np.asarray(activation("gelu_new")(values))).max()
    assert 4e-4 < largest < 5e-4


def test_every_activation_of_a_config_exists():
    for name in ACTIVATIONS:
        np.testing.assert_allclose(activation(name)(np.float32([3.0])), [3], atol=0.01)


def test_gelu_has_the_same_values_and_gradients_while_training():
    values = tf.constant(np.linspace(-8, 8, 10_001), tf.float32)
    above = tf.constant(np.random.default_rng(0).normal(size=values.shape), tf.float32)
    found = []
    for training in (False, True):
        with tf.GradientTape() as tape:
            tape.watch(values)
            outputs = activation("gelu")(values, training)
        found.append((outputs, tape.gradient(outputs, values, above)))
    for plain, ours in zip(*found, strict=True):
        np.testing.assert_allclose(ours, plain, atol=2e-6)


def test_the_gradient_of_gelu():
    one = tf.constant([-1.0, 0.0, 1.0])
    with tf.GradientTape() as tape:
        tape.watch(one)
        outputs = activation("gelu")(one, training=True)
    # Φ(x) + x φ(x), with Φ(1) = 0.8413447 and φ(1) = 0.2419707
    np.testing.assert_allclose(tape.gradient(outputs, one), [-0.0833155, 0.5, 1.0833155], atol=1e-6)
