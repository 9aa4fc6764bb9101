"""Activations by the names that checkpoints use."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from keras import ops

from kbert.layers.gradients import own_gradient


class Activation:
    """Applies an activation: takes a tensor of any shape, and gives one of the same shape.

    Args:
        name: One of `BertConfig.hidden_act`, or "tanh".
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._plain = _ACTIVATIONS[name]
        self._trained = _TRAINED.get(name, self._plain)

    def __call__(self, inputs: Any, training: bool | None = None) -> Any:
        """The activation of each entry."""
        return (self._trained if training else self._plain)(inputs)


_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "gelu": functools.partial(ops.gelu, approximate=False),
    "gelu_new": functools.partial(ops.gelu, approximate=True),
    "gelu_pytorch_tanh": functools.partial(ops.gelu, approximate=True),
    "gelu_fast": functools.partial(ops.gelu, approximate=True),
    "relu": ops.relu,
    "tanh": ops.tanh,
}


def activation(name: str) -> Activation:
    """The activation that `BertConfig.hidden_act` names, or "tanh"."""
    return Activation(name)


@own_gradient
def _gelu_for_training(inputs: Any) -> tuple[Any, Callable[[Any], Any]]:
    """GELU by the error function, whose gradient keeps and computes less than that of each of its operations.

    x Φ(x), with the derivative Φ(x) + x φ(x) (arXiv 1606.08415); Φ(x) = (1 + erf(x / √2)) / 2.
    """
    scaled = inputs * math.sqrt(0.5)
    below = 0.5 + 0.5 * ops.erf(scaled)

    def gradient(above: Any) -> Any:
        return above * (below + scaled * ops.exp(-ops.square(scaled)) * (1 / math.sqrt(math.pi)))

    return inputs * below, gradient


_TRAINED: dict[str, Callable[[Any], Any]] = {"gelu": _gelu_for_training}
"""Those with a form of their own while training. Otherwise TensorFlow's form stands: in a graph that only answers, it
becomes a part of the product before it.
"""
