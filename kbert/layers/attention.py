"""Self-attention with several heads (arXiv 1706.03762, section 3.2)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from kbert.config import BertConfig
from kbert.layers.dropout import Dropout
from kbert.layers.layer import BertLayer, as_config, as_generator, serialized
from kbert.layers.padding import drop_padding, pad_rows
from kbert.layers.projection import Projection, initializer, product

MASK_BIAS = -1e4
"""Added to the score of a padded key. exp(-1e4) is 0 in float32, and the number survives
float16 and int8, which -1e9 does not."""


def attention_bias(input_mask: Any) -> Any:
    """What to add to attention scores, so that padded keys get no attention: [B, S] → float32 [B, 1, 1, S]."""
    return (1.0 - ops.cast(input_mask, "float32"))[:, None, None, :] * MASK_BIAS


def packed_attention_bias(input_example_ids: Any) -> Any:
    """The same for packed rows, so that each example attends to itself alone: [B, S] → float32 [B, 1, S, S]."""
    same = ops.equal(input_example_ids[:, :, None], input_example_ids[:, None, :])
    return (1.0 - ops.cast(same, "float32"))[:, None] * MASK_BIAS


@keras.saving.register_keras_serializable("kbert")
class SelfAttention(BertLayer):
    """softmax(Q Kᵀ / √D + bias) V for N heads, and the output projection.

    Queries, keys and values come from one product with a kernel [H, 3H].

    Args:
        config: The configuration of the model: a `BertConfig`, or its dict.
        seed_generator: Draws fresh weights and dropout: a `keras.random.SeedGenerator`, or its seed.
        precision: The precision of matrix products; a shorthand for `dtype`.
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
        self.config = config
        self.seed_generator = seed_generator
        policy = self.dtype_policy
        kernel = initializer(config.initializer_range, seed_generator)
        self.qkv = Projection(3 * config.hidden_size, kernel, dtype=policy, name="qkv")
        self.output_projection = Projection(config.hidden_size, kernel, dtype=policy, name="output")
        self.dropout = Dropout(config.attention_probs_dropout_prob, seed_generator, name="dropout")

    def build(self, input_shape: Any, *_: Any) -> None:
        """Makes the variables for [B, S, H]."""
        self.qkv.build(input_shape)
        self.output_projection.build(input_shape)

    def call(self, inputs: Any, bias: Any, places: Any = None, tokens: Any = None, training: bool | None = None) -> Any:
        """Takes float32 [B, S, H] and a bias that broadcasts to [B, N, S, S]; gives float32 [B, S, H].

        With the places and tokens of a `TokenRow` it takes and gives float32 [1, T, H] instead.
        """
        config = self.config
        # All that is only moved from one product to the next stays in their precision.
        projected = ops.cast(self.qkv(inputs), self.precision)
        if places is not None:
            # Each row attends to itself, so here alone rows must be of one length.
            projected = pad_rows(projected, places, tokens)
        # Split, not indexed: the gradient of an index fills a tensor of zeros for each part.
        heads = (-1, ops.shape(projected)[1], config.num_attention_heads, config.head_size)
        query, key, value = (ops.reshape(part, heads) for part in ops.split(projected, 3, axis=-1))  # [B, S, N, D]
        # Scaling queries is cheaper than scaling scores, and the same.
        query = ops.transpose(query, (0, 2, 1, 3)) * (1.0 / math.sqrt(config.head_size))
        scores = product(query, ops.transpose(key, (0, 2, 3, 1)), self.precision)  # [B, N, S, S]
        probabilities = self.dropout(ops.softmax(scores + bias), training=training)
        probabilities = ops.cast(probabilities, self.precision)
        context = ops.matmul(probabilities, ops.transpose(value, (0, 2, 1, 3)))  # [B, N, S, D]
        context = ops.reshape(ops.transpose(context, (0, 2, 1, 3)), (-1, heads[1], config.hidden_size))
        if places is not None:
            context = drop_padding(context, places, tokens)
        return self.output_projection(context)

    def compute_output_shape(self, input_shape: Any, *_: Any) -> Any:
        """The shape stays."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor as plain data."""
        return super().get_config() | {
            "config": self.config.to_dict(),
            "seed_generator": serialized(self.seed_generator),
        }


@keras.saving.register_keras_serializable("kbert")
class AttentionBias(BertLayer):
    """The bias of attention scores: `attention_bias` of the mask, or `packed_attention_bias` of the example ids.

    Args:
        packed: Whether rows hold several examples.
    """

    float32_only = True

    def __init__(self, packed: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.packed = packed

    def call(self, inputs: Any) -> Any:
        """Takes int32 [B, S]; gives float32 [B, 1, 1, S], or for packed rows [B, 1, S, S]."""
        return packed_attention_bias(inputs) if self.packed else attention_bias(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """[B, S] → [B, 1, 1, S], or for packed rows [B, 1, S, S]."""
        rows, length = input_shape
        return (rows, 1, length if self.packed else 1, length)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor as plain data."""
        return super().get_config() | {"packed": self.packed}
