"""LayerNorm with a faster gradient in training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from kbert.layers.gradients import own_gradient
from kbert.layers.layer import FixedDtypePolicy, dtype_policy
from kbert.layers.recording import record_call


@keras.saving.register_keras_serializable("kbert")
class LayerNorm(FixedDtypePolicy, keras.layers.LayerNormalization):
    """LayerNorm over the last axis: gamma · (x − mean) / √(variance + epsilon) + beta (arXiv 1607.06450).

    Training uses the closed formula of the gradient. It reads memory fewer times than the gradients of the single
    operations, which makes it faster on processors that are limited by memory bandwidth.

    The layer computes in float32 under every dtype policy.

    Args:
        dtype: "float32", "mixed_bfloat16" or "mixed_float16"; None means the global policy of Keras.
        options: The options of `keras.layers.LayerNormalization`.

    Raises:
        UsageError: The dtype policy is not one of these three.
    """

    def __init__(self, *, dtype: Any = None, **options: Any) -> None:
        dtype_policy(dtype)
        super().__init__(dtype="float32", **options)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Creates a new layer from the result of `get_config`."""
        return cls(**config)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Maps float32 [..., H] to float32 [..., H]."""
        if not training:
            centred = inputs - ops.mean(inputs, -1, keepdims=True)
            scale = ops.rsqrt(ops.mean(ops.square(centred), -1, keepdims=True) + self.epsilon)
            return ops.add(centred * scale * self.gamma, self.beta)
        # ops.add becomes TensorFlow's BiasAdd, whose gradient is many times faster than that of `+`.
        normalized = _normalized(inputs, self.epsilon)
        outputs = ops.add(normalized * self.gamma, self.beta)
        record_call(self, normalized, outputs)
        return outputs


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
