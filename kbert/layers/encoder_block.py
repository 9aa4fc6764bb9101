"""A block of the encoder: self-attention and a feed-forward layer, each with a residual connection and LayerNorm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from kbert.config import BertConfig
from kbert.layers.attention import SelfAttention
from kbert.layers.bottleneck import Bottleneck
from kbert.layers.dropout import Dropout
from kbert.layers.layer import BertLayer, as_config, as_generator, serialized
from kbert.layers.normalization import LayerNorm
from kbert.layers.padding import first_tokens, zero_empty_rows
from kbert.layers.projection import Projection, initializer


@keras.saving.register_keras_serializable("kbert")
class EncoderBlock(BertLayer):
    """An encoder block: LayerNorm(x + dropout(attention(x))), then LayerNorm(x + dropout(feed_forward(x))).

    With a bottleneck adapter, the second sum is s + bottleneck(LayerNorm(s)) with s = x + dropout(feed_forward(x)).

    Args:
        config: The configuration of the model: a `BertConfig`, or its dict.
        seed_generator: Draws the fresh weights and the dropout masks: a `keras.random.SeedGenerator`, or its seed.
        precision: The precision of matrix products: "float32", "bfloat16" or "float16". A shorthand for `dtype`.
        remat: Whether training stores only the input of the block, and computes the block again in the backward pass
            (arXiv 1604.06174). This needs less memory and a third more computation.
    """

    def __init__(
        self,
        config: BertConfig | Mapping[str, Any],
        seed_generator: keras.random.SeedGenerator | int,
        precision: str | None = None,
        remat: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(precision=precision, **kwargs)
        config, seed_generator = as_config(config), as_generator(seed_generator)
        policy = self.dtype_policy
        self.config = config
        self.remat = remat
        self.seed_generator = seed_generator
        kernel = initializer(config.initializer_range, seed_generator)
        self.attention = SelfAttention(config, seed_generator, dtype=policy, name="attention")
        self.attention_norm = LayerNorm(epsilon=config.layer_norm_eps, name="attention_norm")
        self.intermediate = Projection(
            config.intermediate_size, kernel, config.hidden_act, dtype=policy, name="intermediate"
        )
        self.output_projection = Projection(config.hidden_size, kernel, dtype=policy, name="output")
        self.output_norm = LayerNorm(epsilon=config.layer_norm_eps, name="output_norm")
        self.bottleneck: Bottleneck | None = None
        """The bottleneck adapter; None without one."""
        if config.bottleneck_size is not None:
            self.bottleneck = Bottleneck(config, seed_generator, dtype=policy, name="bottleneck")
        self.dropout = Dropout(config.hidden_dropout_prob, seed_generator, name="dropout")

    def build(self, input_shape: Any, *_: Any) -> None:
        """Creates the variables for inputs of the shape [B, S, H]."""
        self.attention.build(input_shape)
        self.attention_norm.build(input_shape)
        self.intermediate.build(input_shape)
        self.output_projection.build((*input_shape[:-1], self.intermediate.units))
        self.output_norm.build(input_shape)
        if self.bottleneck is not None:
            self.bottleneck.build(input_shape)

    def call(
        self,
        inputs: Any,
        bias: Any,
        places: Any = None,
        tokens: Any = None,
        training: bool | None = None,
        first_only: bool = False,
    ) -> Any:
        """Maps float32 [B, S, H], and an attention bias that broadcasts to [B, N, S, S], to float32 [B, S, H].

        With the `places` and `tokens` of a `TokenRow`, inputs and outputs are float32 [1, T, H] instead. With
        `first_only`, only the first token of each row is computed, and the output is float32 [B, 1, H].
        """
        if not (self.remat and training):
            return self._forward(inputs, bias, places, tokens, training, first_only)
        state = self.seed_generator.state
        seed = ops.copy(state)

        def forward(inputs: Any, bias: Any) -> Any:
            state.assign(seed)  # so that the second computation draws the same dropout masks
            outputs = self._forward(inputs, bias, places, tokens, training, first_only)
            return (outputs, ops.copy(state)) if keras.backend.backend() == "jax" else outputs

        outputs = keras.remat(forward)(inputs, bias)
        if keras.backend.backend() == "jax":
            outputs, drawn = outputs
            state.assign(drawn)  # a value that JAX traced must not remain in a variable
        return outputs

    def _forward(
        self, inputs: Any, bias: Any, places: Any, tokens: Any, training: bool | None, first_only: bool
    ) -> Any:
        attended = self.attention(inputs, bias, places, tokens, training=training, first_only=first_only)
        if not first_only:
            return self._after_attention(inputs, attended, training)
        if places is None:
            return self._after_attention(inputs[:, :1], attended, training)
        outputs = self._after_attention(first_tokens(inputs, tokens), attended, training)
        return zero_empty_rows(outputs, places, tokens)

    def with_keys(self, inputs: Any, bias: Any, places: Any = None, tokens: Any = None) -> tuple[Any, Any, Any]:
        """Returns the result of `call` without dropout, and the keys and values of `SelfAttention.with_keys`."""
        attended, keys, values = self.attention.with_keys(inputs, bias, places, tokens)
        return self._after_attention(inputs, attended, None), keys, values

    def step(
        self, inputs: Any, source: tuple[Any, Any, Any], keys: Any, values: Any, bias: Any
    ) -> tuple[Any, Any, Any]:
        """Computes one new token of each of K answers, with the arguments of `SelfAttention.step`.

        Returns:
            float32 [B, K, H], and the keys and values with those of the new tokens.
        """
        attended, keys, values = self.attention.step(inputs, source, keys, values, bias)
        return self._after_attention(inputs, attended, None), keys, values

    def _after_attention(self, inputs: Any, attended: Any, training: bool | None) -> Any:
        """Returns the output of the block, given its input and the result of the attention."""
        attended = self.dropout(attended, training=training)
        hidden = self.attention_norm(inputs + attended, training=training)
        wide = self.intermediate(hidden, training=training)
        total = hidden + self.dropout(self.output_projection(wide), training=training)
        if self.bottleneck is not None:
            total = total + self.bottleneck(self.output_norm(total, training=training))
        return self.output_norm(total, training=training)

    def compute_output_spec(self, inputs: Any, bias: Any, *_: Any, first_only: bool = False, **__: Any) -> Any:
        """Returns the symbolic output: float32 with the shape of the input, or with `first_only` [B, 1, H]."""
        shape = (bias.shape[0], 1, inputs.shape[-1]) if first_only else inputs.shape
        return keras.KerasTensor(shape, "float32")

    def compute_output_shape(self, input_shape: Any, *_: Any) -> Any:
        """Returns the shape of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor as plain data."""
        return super().get_config() | {
            "config": self.config.to_dict(),
            "seed_generator": serialized(self.seed_generator),
            "remat": self.remat,
        }
