"""Bottleneck adapters (arXiv 1902.00751), in the place that arXiv 2005.00247 found to be enough."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from kbert.config import BertConfig
from kbert.layers.layer import BertLayer, as_config, as_generator, serialized
from kbert.layers.projection import Projection, initializer


@keras.saving.register_keras_serializable("kbert")
class Bottleneck(BertLayer):
    """A bottleneck adapter: up(activation(down(x))), whose inner width is small. A new one returns zeros.

    Args:
        config: The configuration of the model, which has a `bottleneck_size`: a `BertConfig`, or its dict.
        seed_generator: Draws the fresh weights: a `keras.random.SeedGenerator`, or its seed.
        precision: The precision of matrix products: "float32", "bfloat16" or "float16". A shorthand for `dtype`.
    """

    def __init__(
        self,
        config: BertConfig | Mapping[str, Any],
        seed_generator: keras.random.SeedGenerator | int,
        precision: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(precision=precision, **kwargs)
        config, seed_generator = as_config(config), as_generator(seed_generator)
        assert config.bottleneck_size is not None
        self.config = config
        self.seed_generator = seed_generator
        policy = self.dtype_policy
        kernel = initializer(config.initializer_range, seed_generator)
        self.down = Projection(config.bottleneck_size, kernel, config.bottleneck_act, dtype=policy, name="down")
        self.up = Projection(config.hidden_size, "zeros", dtype=policy, name="up")

    def build(self, input_shape: Any) -> None:
        """Creates the variables for inputs of the shape [..., H]."""
        self.down.build(input_shape)
        self.up.build((*input_shape[:-1], self.down.units))

    def call(self, inputs: Any) -> Any:
        """Maps float32 [..., H] to float32 [..., H]."""
        return self.up(self.down(inputs))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor as plain data."""
        return super().get_config() | {
            "config": self.config.to_dict(),
            "seed_generator": serialized(self.seed_generator),
        }
