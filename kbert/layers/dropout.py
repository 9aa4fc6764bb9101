"""Dropout that draws from a generator shared by a whole model."""

from __future__ import annotations

from typing import Any

import keras


class Dropout(keras.layers.Layer):
    """Sets a part of the entries to 0 while training, and scales the others up.

    All dropout layers of a model share one `keras.random.SeedGenerator`, so that its one variable is all
    that a checkpoint needs for the same masks to follow.

    Args:
        rate: Part that is set to 0.
        seed_generator: Where the randomness comes from.
    """

    def __init__(self, rate: float, seed_generator: keras.random.SeedGenerator, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = rate
        self.seed_generator = seed_generator

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Takes and gives a tensor of any shape."""
        if not training or self.rate == 0:
            return inputs
        return keras.random.dropout(inputs, self.rate, seed=self.seed_generator)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape stays."""
        return input_shape
