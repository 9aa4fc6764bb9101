import numpy as np
import pytest

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
def test_values(name, expected):
    values = np.array([-2, -1, 0, 1, 2], np.float32)
    np.testing.assert_allclose(activation(name)(values), expected, atol=1e-6)


def test_the_two_forms_of_gelu_differ_by_five_ten_thousandths_at_most():
    values = np.linspace(-6, 6, 10_001, dtype=np.float32)
    largest = np.abs(np.asarray(activation("gelu")(values)) - np.asarray(activation("gelu_new")(values))).max()
    assert 4e-4 < largest < 5e-4


def test_every_activation_of_a_config_exists():
    for name in ACTIVATIONS:
        np.testing.assert_allclose(activation(name)(np.float32([3.0])), [3], atol=0.01)
