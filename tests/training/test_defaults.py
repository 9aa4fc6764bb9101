import doctest

import pytest

from kbert.training import defaults as recipe
from kbert.training.defaults import (
    default_adapter_learning_rate,
    default_epochs,
    default_head_learning_rate,
    default_learning_rate,
)


def test_the_examples_in_docstrings():
    assert doctest.testmod(recipe).failed == 0


@pytest.mark.parametrize(
    ("width", "layers", "pretrained", "fresh"),
    [
        (1024, 24, 1.1e-5, 7.5e-5),
        (768, 12, 3e-5, 1e-4),
        (384, 6, 1.2e-4, 2e-4),
        (384, 12, 6e-5, 2e-4),
        (128, 2, 5e-4, 6e-4),
        (32, 1, 5e-4, 1e-3),
    ],
)
def test_small_models_take_larger_steps(width, layers, pretrained, fresh):
    assert default_learning_rate(width, layers, pretrained=True) == pretrained
    assert default_learning_rate(width, layers, pretrained=False) == fresh


@pytest.mark.parametrize(
    ("rate", "pretrained", "head"),
    [(3e-5, True, 2.4e-4), (1.2e-4, True, 9.6e-4), (5e-4, True, 1e-3), (2e-3, True, 2e-3), (1e-4, False, 1e-4)],
)
def test_the_head_on_pretrained_weights_takes_larger_steps(rate, pretrained, head):
    assert default_head_learning_rate(rate, pretrained=pretrained) == head


@pytest.mark.parametrize(
    ("rate", "kind", "adapter"),
    [
        (3e-5, "lora", 7.5e-4),
        (1.2e-4, "lora", 3e-3),
        (5e-4, "lora", 3e-3),
        (1.2e-4, "bitfit", 9.6e-4),
        (1.2e-4, "bottleneck", 9.6e-4),
    ],
)
def test_adapters_take_larger_steps(rate, kind, adapter):
    assert default_adapter_learning_rate(rate, kind) == adapter


@pytest.mark.parametrize(("items", "epochs"), [(100_000, 3), (5_334, 3), (5_000, 4), (1_000, 16), (100, 20), (1, 20)])
def test_few_rows_are_gone_through_more_often(items, epochs):
    assert default_epochs(items, batch_size=32) == default_epochs(items, batch_size=32, classes=25) == epochs


def test_many_classes_get_more_steps():
    assert default_epochs(10_003, batch_size=32, classes=77) == 5
    assert default_epochs(100_000, batch_size=32, classes=77) == 3
    assert default_epochs(10_003, batch_size=32, classes=5_000) == 20
