"""One block of the encoder: self-attention and a feed-forward layer, each added to its input and normalized."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kbert.config import BertConfig
from kbert.layers.activations import activation
from kbert.layers.attention import SelfAttention
from kbert.layers.dropout import Dropout
from kbert.layers.normalization import LayerNorm
from kbert.layers.projection import Projection, initializer


class EncoderBlock(keras.layers.Layer):
    """LayerNorm(x + dropout(attention(x))), then LayerNorm(x + dropout(feed-forward(x))).

    Args:
        config: The shape of the model.
        seed_generator: Of fresh weights and dropout.
        precision: Of matrix products.
        remat: While training, keep the block's input alone and compute the rest again in the backward pass
            (arXiv 1604.06174): less memory for a third more work.
    """

    def __init__(
        self,
        config: BertConfig,
        seed_generator: keras.random.SeedGenerator,
        precision: str = "float32",
        remat: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.remat = remat
        self.seed_generator = seed_generator
        kernel = initializer(config.initializer_range, seed_generator)
        self.attention = SelfAttention(config, seed_generator, precision, name="attention")
        self.attention_norm = LayerNorm(epsilon=config.layer_norm_eps, name="attention_norm")
        self.intermediate = Projection(
            config.intermediate_size, kernel, activation(config.hidden_act), precision, name="intermediate"
        )
        self.output_projection = Projection(config.hidden_size, kernel, precision=precision, name="output")
        self.output_norm = LayerNorm(epsilon=config.layer_norm_eps, name="output_norm")
        self.dropout = Dropout(config.hidden_dropout_prob, seed_generator, name="dropout")

    def build(self, input_shape: Any, *_: Any) -> None:
        """Makes the variables for [B, S, H]."""
        self.attention.build(input_shape)
        self.attention_norm.build(input_shape)
        self.intermediate.build(input_shape)
        self.output_projection.build((*input_shape[:-1], self.intermediate.units))
        self.output_norm.build(input_shape)

    def call(self, inputs: Any, bias: Any, places: Any = None, tokens: Any = None, training: bool | None = None) -> Any:
        """Takes float32 [B, S, H] and an attention bias that broadcasts to [B, N, S, S]; gives float32 [B, S, H].

        With the places and tokens of a `TokenRow` it takes and gives float32 [1, T, H] instead.
        """
        if not (self.remat and training):
            return self._forward(inputs, bias, places, tokens, training)
        state = self.seed_generator.state
        seed = ops.copy(state)

        def forward(inputs: Any, bias: Any) -> Any:
            state.assign(seed)  # the second time the same masks are drawn
            return self._forward(inputs, bias, places, tokens, training)

        return keras.remat(forward)(inputs, bias)

    def _forward(self, inputs: Any, bias: Any, places: Any, tokens: Any, training: bool | None) -> Any:
        attended = self.dropout(self.attention(inputs, bias, places, tokens, training=training), training=training)
        hidden = self.attention_norm(inputs + attended, training=training)
        wide = self.intermediate(hidden, training=training)
        outputs = self.dropout(self.output_projection(wide), training=training)
        return self.output_norm(hidden + outputs, training=training)

    def compute_output_shape(self, input_shape: Any, *_: Any) -> Any:
        """The shape stays."""
        return input_shape
