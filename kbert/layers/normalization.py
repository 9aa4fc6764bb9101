"""LayerNorm with a gradient of its own while training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from kbert.layers.gradients import own_gradient


class LayerNorm(keras.layers.LayerNormalization):
    """gamma · (x − mean) / √(variance + epsilon) + beta over the last axis (arXiv 1607.06450).

    While training, the gradient is the formula that is left when the derivatives of mean and variance cancel. It goes
    over memory less often than the gradients of all operations, which matters where a processor waits for memory.
    """

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Takes and gives float32 [..., H]."""
        if not training:
            return super().call(inputs)
        # Broadcast as a bias, beta has a gradient that is many times faster.
        return ops.add(_normalized(inputs, self.epsilon) * self.gamma, self.beta)


def _normalized(inputs: Any, epsilon: float) -> Any:
    @own_gradient
    def function(inputs: Any) -> tuple[Any, Callable[[Any], Any]]:
        centred = inputs - ops.mean(inputs, -1, keepdims=True)
        scale = ops.rsqrt(ops.mean(ops.square(centred), -1, keepdims=True) + epsilon)
        outputs = centred * scale

        def gradient(above: Any) -> Any:
            along = ops.mean(above * outputs, -1, keepdims=True)
            return (above - ops.mean(above, -1, keepdims=True) - outputs * along) * scale

        return outputs, gradient

    return function(inputs)
