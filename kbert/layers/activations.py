"""Activation functions, under the names that checkpoints use."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from keras import ops

from kbert.layers.gradients import own_gradient


class Activation:
    """An activation function, applied to each entry of a tensor of any shape.

    Args:
        name: The name of the activation: a value of `BertConfig.hidden_act`, or "tanh".
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._plain = _ACTIVATIONS[name]
        self._trained = _TRAINED.get(name, self._plain)

    def __call__(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns a tensor of the same shape, with the activation applied to each entry."""
        return (self._trained if training else self._plain)(inputs)


def _gelu(inputs: Any) -> Any:
    """Computes GELU with the error function, x (1 + erf(x / √2)) / 2 (arXiv 1606.08415).

    TensorFlow fuses this form with the matrix product before it. The form of `keras.ops.gelu` is not fused.
    """
    return 0.5 * inputs * (1.0 + ops.erf(inputs * math.sqrt(0.5)))


_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "gelu": _gelu,
    "gelu_new": functools.partial(ops.gelu, approximate=True),
    "gelu_pytorch_tanh": functools.partial(ops.gelu, approximate=True),
    "gelu_fast": functools.partial(ops.gelu, approximate=True),
    "relu": ops.relu,
    "tanh": ops.tanh,
}


def activation(name: str) -> Activation:
    """Returns the activation of this name: a value of `BertConfig.hidden_act`, or "tanh"."""
    return Activation(name)


@own_gradient
def _gelu_for_training(inputs: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Computes GELU with the error function, and a gradient that needs less memory and time than the automatic one.

    GELU is x Φ(x) with Φ(x) = (1 + erf(x / √2)) / 2; its derivative is Φ(x) + x φ(x) (arXiv 1606.08415).
    """
    scaled = inputs * math.sqrt(0.5)
    below = 0.5 + 0.5 * ops.erf(scaled)

    def gradient(above: Any) -> Any:
        return above * (below + scaled * ops.exp(-ops.square(scaled)) * (1 / math.sqrt(math.pi)))

    return inputs * below, gradient


_TRAINED: dict[str, Callable[[Any], Any]] = {"gelu": _gelu_for_training}
"""The activations that have a faster form for training. For inference the plain form is kept, since TensorFlow fuses it
with the matrix product before it.
"""
