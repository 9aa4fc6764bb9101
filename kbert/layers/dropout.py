"""Dropout that draws its masks from a generator that the whole model shares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from kbert.layers.gradients import own_gradient
from kbert.layers.layer import BertLayer, as_generator, serialized

_VALUES = 2**16
"""The number of values that the random number of an entry can have: 16 bits."""


@keras.saving.register_keras_serializable("kbert")
class Dropout(BertLayer):
    """Dropout: sets a part of the entries to 0 in training, and scales the others up.

    The layer draws 16 random bits for each entry, half of what `keras.random.dropout` draws. The rate is therefore
    rounded to a multiple of 1 / 65,536.

    All dropout layers of a model share one `keras.random.SeedGenerator`. A checkpoint therefore needs only the state of
    this generator to draw the same masks after it is restored.

    Args:
        rate: The part of the entries that is set to 0, from 0 to below 1.
        seed_generator: Draws the masks: a `keras.random.SeedGenerator`, or its seed.
    """

    float32_only = True

    def __init__(self, rate: float, seed_generator: keras.random.SeedGenerator | int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = rate
        self.seed_generator = as_generator(seed_generator)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Maps float32 of any shape to float32 of the same shape."""
        kept = self.draw(inputs, training)
        return inputs if kept is None else _with_dropout(lambda values: self.apply(values, kept), inputs)

    def draw(self, inputs: Any, training: bool | None) -> Any:
        """Returns which entries of the inputs are kept, a bool tensor of their shape; None if all of them are."""
        if not training or self.rate == 0:
            return None
        return self._draw(inputs) >= ops.cast(self._left_out, "uint16")

    def apply(self, values: Any, kept: Any) -> Any:
        """Sets the entries that are not kept to 0, and scales the others up. The gradient is the same function."""
        return ops.where(kept, values * self.scale, 0.0)

    @property
    def scale(self) -> float:
        """The factor of the entries that are kept."""
        return _VALUES / (_VALUES - self._left_out)

    @property
    def _left_out(self) -> int:
        """The number of random values, of _VALUES, that set an entry to 0."""
        return min(round(self.rate * _VALUES), _VALUES - 1)

    def _draw(self, inputs: Any) -> Any:
        """Returns random uint16 values in the shape of the inputs. Each int32 that is drawn gives two of them."""
        count = ops.size(inputs)
        pairs = keras.random.randint(((count + 1) // 2, 1), -(2**31), 2**31 - 1, "int32", seed=self.seed_generator)
        return ops.reshape(ops.reshape(ops.view(pairs, "uint16"), (-1,))[:count], ops.shape(inputs))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor as plain data."""
        return super().get_config() | {"rate": self.rate, "seed_generator": serialized(self.seed_generator)}


def _with_dropout(apply: Callable[[Any], Any], inputs: Any) -> Any:
    """Returns apply(inputs), which is linear in each entry, with `apply` as its gradient.

    The backward pass then needs one byte for each entry, the mask, instead of a float32.
    """
    return own_gradient(lambda values: (apply(values), apply))(inputs)
