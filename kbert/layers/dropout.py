"""Dropout that draws from a generator shared by a whole model."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kbert.layers.layer import BertLayer, as_generator, serialized

_VALUES = 2**16
"""Of what is drawn for an entry."""


@keras.saving.register_keras_serializable("kbert")
class Dropout(BertLayer):
    """Sets a part of the entries to 0 while training, and scales the others up.

    Sixteen random bits an entry tell the rate to 1 / 65,536, and are half of what `keras.random.dropout` draws.

    All dropout layers of a model share one `keras.random.SeedGenerator`, so that its one variable is all
    that a checkpoint needs for the same masks to follow.

    Args:
        rate: Part that is set to 0, below 1.
        seed_generator: The `keras.random.SeedGenerator` of the masks, or its seed.
    """

    float32_only = True

    def __init__(self, rate: float, seed_generator: keras.random.SeedGenerator | int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = rate
        self.seed_generator = as_generator(seed_generator)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Takes and gives float32 of any shape."""
        if not training or self.rate == 0:
            return inputs
        left_out = min(round(self.rate * _VALUES), _VALUES - 1)
        kept = self._draw(inputs) >= ops.cast(left_out, "uint16")
        return inputs * ops.where(kept, _VALUES / (_VALUES - left_out), 0.0)

    def _draw(self, inputs: Any) -> Any:
        """Random uint16 of the shape of the inputs: two from each int32."""
        count = ops.size(inputs)
        pairs = keras.random.randint(((count + 1) // 2, 1), -(2**31), 2**31 - 1, "int32", seed=self.seed_generator)
        return ops.reshape(ops.reshape(ops.view(pairs, "uint16"), (-1,))[:count], ops.shape(inputs))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape stays."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor as plain data."""
        return super().get_config() | {"rate": self.rate, "seed_generator": serialized(self.seed_generator)}
