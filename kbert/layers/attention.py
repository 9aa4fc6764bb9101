"""Multi-head self-attention (arXiv 1706.03762, section 3.2)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
from keras import ops

from kbert.config import BertConfig
from kbert.errors import UsageError
from kbert.layers.dropout import Dropout
from kbert.layers.gradients import own_gradient
from kbert.layers.layer import BertLayer, as_config, as_generator, serialized
from kbert.layers.padding import drop_padding, pad_rows
from kbert.layers.projection import Projection, initializer, product
from kbert.layers.recording import record_row

MASK_BIAS = -1e4
"""The bias that is added to the attention score of a padded key. exp(-1e4) is 0 in float32. Unlike -1e9, the
number fits in float16 and survives int8 quantization."""

QKV_COLUMNS: Mapping[str, tuple[int, int]] = {"query": (0, 3), "key": (1, 3), "value": (2, 3)}
"""The columns of the fused kernel [H, 3H] that compute queries, keys and values, as (index, number of equal parts)."""


def attention_bias(input_mask: Any) -> Any:
    """Returns the bias of attention scores that masks padded keys: int32 [B, S] → float32 [B, 1, 1, S]."""
    return (1.0 - ops.cast(input_mask, "float32"))[:, None, None, :] * MASK_BIAS


def packed_attention_bias(input_example_ids: Any) -> Any:
    """Returns the bias that confines attention to each example of a packed row: int32 [B, S] → float32 [B, 1, S, S]."""
    same = ops.equal(input_example_ids[:, :, None], input_example_ids[:, None, :])
    return (1.0 - ops.cast(same, "float32"))[:, None] * MASK_BIAS


def prefix_attention_bias(input_mask: Any, input_type_ids: Any) -> Any:
    """Returns the bias for rows of a source and a target: int32 [B, S] and [B, S] → float32 [B, 1, S, S].

    The tokens of the source have type 0, and attend to the source. Those of the target have type 1 and follow it: each
    attends to the source, to the target tokens before it, and to itself (UniLM, arXiv 1905.03197).
    """
    place = ops.cumsum(input_type_ids, axis=1)  # 0 in the source, then 1, 2, 3 …
    visible = ops.logical_and(place[:, None, :] <= place[:, :, None], input_mask[:, None, :] > 0)
    return (1.0 - ops.cast(visible, "float32"))[:, None] * MASK_BIAS


@keras.saving.register_keras_serializable("kbert")
class SelfAttention(BertLayer):
    """Multi-head self-attention: softmax(Q Kᵀ / √D + bias) V for N heads, then the output projection.

    Queries, keys and values are computed in one matrix product with a kernel of the shape [H, 3H].

    Args:
        config: The configuration of the model: a `BertConfig`, or its dict.
        seed_generator: Draws the fresh weights and the dropout masks: a `keras.random.SeedGenerator`, or its seed.
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
        self.config = config
        self.seed_generator = seed_generator
        policy = self.dtype_policy
        kernel = initializer(config.initializer_range, seed_generator)
        self.qkv = Projection(3 * config.hidden_size, kernel, dtype=policy, name="qkv")
        self.output_projection = Projection(config.hidden_size, kernel, dtype=policy, name="output")
        self.dropout = Dropout(config.attention_probs_dropout_prob, seed_generator, name="dropout")

    def build(self, input_shape: Any, *_: Any) -> None:
        """Creates the variables for inputs of the shape [B, S, H]."""
        self.qkv.build(input_shape)
        self.output_projection.build(input_shape)

    def call(
        self,
        inputs: Any,
        bias: Any,
        places: Any = None,
        tokens: Any = None,
        training: bool | None = None,
        first_only: bool = False,
    ) -> Any:
        """Maps float32 [B, S, H], and a bias that broadcasts to [B, N, S, S], to float32 [B, S, H].

        With the `places` and `tokens` of a `TokenRow`, inputs and outputs are float32 [1, T, H] instead. With
        `first_only`, only the first token of each row is computed, and the output is float32 [B, 1, H].
        """
        return self.with_keys(inputs, bias, places, tokens, training, first_only)[0]

    def with_keys(
        self,
        inputs: Any,
        bias: Any,
        places: Any = None,
        tokens: Any = None,
        training: bool | None = None,
        first_only: bool = False,
    ) -> tuple[Any, Any, Any]:
        """Returns the result of `call`, the transposed keys [B, N, D, S] and the values [B, N, S, D] (see `step`)."""
        # Values that only move from one matrix product to the next stay in the precision of the products.
        projected = ops.cast(self.qkv(inputs), self.precision)
        if places is not None:
            # Attention works on each row separately, so rows need the same length here, and only here.
            projected = pad_rows(projected, places, tokens)
        query, key, value = self._heads(projected)
        if first_only:
            query = query[:, :, :1]
            record_row(None)  # the layers after this one get a vector for each row
        scores = product(query, key, self.precision)  # [B, N, S, S]
        context = self._joined(self._weighted(scores + bias, value, training))
        if places is not None and not first_only:
            context = drop_padding(context, places, tokens)
        return self.output_projection(context), key, value

    def probabilities(self, inputs: Any, bias: Any) -> Any:
        """Returns the attention of each token to all tokens, the softmax in `call`: float32 [B, N, S, S].

        Args:
            inputs: float32 [B, S, H].
            bias: A bias of the scores that broadcasts to [B, N, S, S].
        """
        query, key, _ = self._heads(ops.cast(self.qkv(inputs), self.precision))
        return ops.softmax(product(query, key, self.precision) + bias)

    def step(
        self, inputs: Any, source: tuple[Any, Any, Any], keys: Any, values: Any, bias: Any
    ) -> tuple[Any, Any, Any]:
        """Computes one new token of each of K answers, which attends to the source and to the tokens before it.

        Args:
            inputs: The vectors of the new tokens, float32 [B, K, H].
            source: The keys [B, N, D, S] and the values [B, N, S, D] of the source, and the bias of its scores,
                float32 [B, 1, 1, S].
            keys: The keys of the T earlier tokens of all answers, [B, N, D, T].
            values: The values of these tokens, [B, N, T, D].
            bias: The bias of the scores of these tokens and of the K new ones, which broadcasts to [B, N, K, T + K].

        Returns:
            float32 [B, K, H], and the keys and values of the T + K tokens.
        """
        source_keys, source_values, source_bias = source
        query, key, value = self._heads(ops.cast(self.qkv(inputs), self.precision))
        keys, values = ops.concatenate([keys, key], -1), ops.concatenate([values, value], -2)
        of_source = product(query, source_keys, self.precision) + source_bias
        of_answers = product(query, keys, self.precision) + bias
        weights = ops.cast(ops.softmax(ops.concatenate([of_source, of_answers], -1)), self.precision)
        length = ops.shape(source_keys)[-1]
        # The keys of the source are not joined with the others, so that they are not copied for every token.
        context = ops.matmul(weights[..., :length], source_values) + ops.matmul(weights[..., length:], values)
        return self.output_projection(self._joined(context)), keys, values

    def _heads(self, projected: Any) -> tuple[Any, Any, Any]:
        """Splits [B, S, 3 H] into scaled queries [B, N, S, D], transposed keys [B, N, D, S] and values [B, N, S, D]."""
        config = self.config
        # ops.split, not indexing: the gradient of indexing allocates a tensor of zeros for each part.
        heads = (-1, ops.shape(projected)[1], config.num_attention_heads, config.head_size)
        query, key, value = (ops.reshape(part, heads) for part in ops.split(projected, 3, axis=-1))  # [B, S, N, D]
        # Scaling the queries gives the same result as scaling the scores, and is cheaper.
        query = ops.transpose(query, (0, 2, 1, 3)) * (1.0 / math.sqrt(config.head_size))
        return query, ops.transpose(key, (0, 2, 3, 1)), ops.transpose(value, (0, 2, 1, 3))

    def _joined(self, context: Any) -> Any:
        """Joins the results of the heads: [B, N, S, D] → [B, S, H]."""
        length = ops.shape(context)[2]
        return ops.reshape(ops.transpose(context, (0, 2, 1, 3)), (-1, length, self.config.hidden_size))

    def _weighted(self, scores: Any, value: Any, training: bool | None) -> Any:
        """Returns the values weighted by the softmax of the scores, with dropout: [B, N, S, S] and [B, N, S, D].

        For each score, the backward pass needs its probability and the mask of the dropout, five bytes. TensorFlow's
        own gradient would store three float32 tensors, the largest ones of a training step with long rows.
        """
        kept = self.dropout.draw(scores, training)
        if kept is None:
            return ops.matmul(ops.cast(ops.softmax(scores), self.precision), value)

        def function(scores: Any, value: Any) -> tuple[Any, Callable[[Any], tuple[Any, Any]]]:
            probabilities = ops.softmax(scores)

            def gradient(above: Any) -> tuple[Any, Any]:
                # The scale is applied to the small factor. Besides, TensorFlow would store the weights of the forward
                # pass if they were computed here in the same way.
                above = self.dropout.scale * above
                weights = ops.cast(ops.where(kept, probabilities, 0.0), self.precision)
                of_value = ops.matmul(ops.transpose(weights, (0, 1, 3, 2)), above)
                of_weights = ops.cast(ops.matmul(above, ops.transpose(value, (0, 1, 3, 2))), "float32")
                of_probabilities = ops.where(kept, of_weights, 0.0)
                mean = ops.sum(of_probabilities * probabilities, axis=-1, keepdims=True)
                return (of_probabilities - mean) * probabilities, of_value

            weights = ops.cast(self.dropout.apply(probabilities, kept), self.precision)
            return ops.matmul(weights, value), gradient

        return own_gradient(function)(scores, value)

    def enable_lora(
        self,
        rank: int,
        lora_alpha: float | None = None,
        a_initializer: Any = "he_uniform",
        b_initializer: Any = "zeros",
        *,
        targets: Sequence[str] = ("query", "value"),
    ) -> None:
        """Freezes the kernel of queries, keys and values, and adds LoRA to some of the three; see `Projection`.

        Args:
            rank: The rank of the matrices A and B.
            lora_alpha: The factor α; None means the rank.
            a_initializer: Draws A.
            b_initializer: Draws B.
            targets: The parts that get an A and a B of their own: some of "query", "key" and "value".

        Raises:
            UsageError: The rank is less than 1, a target is unknown, or the layer has LoRA already.

        Example:
            >>> attention = BertEncoder(preset_config("tiny")).blocks[0].attention
            >>> attention.enable_lora(8, targets=("query", "value"))
            >>> sorted(variable.name for variable in attention.trainable_variables if "lora" in variable.name)
            ['lora_query_a', 'lora_query_b', 'lora_value_a', 'lora_value_b']
        """
        unknown = [target for target in targets if target not in QKV_COLUMNS]
        if unknown or not targets:
            raise UsageError(f"targets must be some of {', '.join(QKV_COLUMNS)}. Received: targets={list(targets)}")
        columns = {target: QKV_COLUMNS[target] for target in QKV_COLUMNS if target in targets}
        self.qkv.enable_lora(rank, lora_alpha, a_initializer, b_initializer, columns=columns)

    def compute_output_shape(self, input_shape: Any, *_: Any) -> Any:
        """Returns the shape of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor as plain data."""
        return super().get_config() | {
            "config": self.config.to_dict(),
            "seed_generator": serialized(self.seed_generator),
        }


@keras.saving.register_keras_serializable("kbert")
class AttentionBias(BertLayer):
    """Computes the bias of attention scores: `attention_bias` of the mask, or `packed_attention_bias` of example ids.

    Args:
        packed: Whether a row can hold several examples.
    """

    float32_only = True

    def __init__(self, packed: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.packed = packed

    def call(self, inputs: Any) -> Any:
        """Maps int32 [B, S] to float32 [B, 1, 1, S], or for packed rows to float32 [B, 1, S, S]."""
        return packed_attention_bias(inputs) if self.packed else attention_bias(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns [B, 1, 1, S] for [B, S], or [B, 1, S, S] for packed rows."""
        rows, length = input_shape
        return (rows, 1, length if self.packed else 1, length)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor as plain data."""
        return super().get_config() | {"packed": self.packed}
