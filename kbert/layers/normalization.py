"""LayerNorm with a gradient of its own while training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from kbert.layers.gradients import own_gradient
from kbert.layers.layer import FixedDtypePolicy, dtype_policy


@keras.saving.register_keras_serializable("kbert")
class LayerNorm(FixedDtypePolicy, keras.layers.LayerNormalization):
    """gamma · (x − mean) / √(variance + epsilon) + beta over the last axis (arXiv 1607.06450).

    While training, the gradient is the formula that is left when the derivatives of mean and variance cancel. It goes
    over memory less often than the gradients of all operations, which matters where a processor waits for memory.

    The layer computes in float32 under every dtype policy.

    Args:
        dtype: "float32", "mixed_bfloat16" or "mixed_float16"; None is Keras's global policy.
        options: The options of `keras.layers.LayerNormalization`.

    Raises:
        UsageError: The dtype policy is none of these three.
    """

    def __init__(self, *, dtype: Any = None, **options: Any) -> None:
        dtype_policy(dtype)
        super().__init__(dtype="float32", **options)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Makes a new layer from the result of `get_config`."""
        return cls(**config)

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
