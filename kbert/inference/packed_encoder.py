"""The encoder as a graph for LiteRT: over the tokens of texts in a row, or over a batch.

Most Keras layers leave operations that LiteRT's XNNPACK delegate does not support: checks of indices, 5-D transposes,
strided slices. Here activations are matrices [T, H], and queries, keys and values have products of their own with
1/sqrt(D) folded into the weights of the queries. LayerNorm is written out, since the Keras layer becomes three more
element-wise operations. Each reshape has one unknown dimension at most, so the delegate also supports an unknown number
of tokens. It runs nearly all of the graph.

Texts in one row do not attend to each other, because of the bias of the attention scores. Computing several short texts
in one row is nearly as fast as one long text: products with few rows are slow, and products of attention are a small
part of the computation as long as rows are short.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from kbert.inference.litert_weights import weight
from kbert.layers.activations import activation
from kbert.layers.attention import MASK_BIAS
from kbert.models.encoder import BertEncoder

Array = np.ndarray


@dataclasses.dataclass(frozen=True)
class WantedTokens:
    """The tokens whose vectors are needed. The last block computes only these.

    Args:
        select: A function from a matrix with a row for each of the T tokens to its rows for the W wanted tokens.
        bias: The bias of their attention scores, float32, broadcast to [N, W, T].
    """

    select: Callable[[tf.Tensor], tf.Tensor]
    bias: tf.Tensor


class PackedEncoder:
    """A function from the tokens of a row to their vectors.

    Args:
        encoder: The encoder whose present weights become constants of the graph.
        unchanged_kernels: Whether LiteRT's converter stores the kernels as they are, which matters if they are rounded.
            Otherwise it multiplies them with the scale of the LayerNorm before them.
    """

    def __init__(self, encoder: BertEncoder, *, unchanged_kernels: bool = False) -> None:
        self.encoder = encoder
        self.config = encoder.config
        self._unchanged_kernels = unchanged_kernels

    def __call__(
        self,
        ids: tf.Tensor,
        types: tf.Tensor,
        positions: tf.Tensor | Array,
        bias: tf.Tensor,
        wanted: WantedTokens | None = None,
    ) -> tf.Tensor:
        """Computes the outputs of the last block.

        Args:
            ids: Token ids, int32 [T].
            types: Segment ids, int32 [T].
            positions: The position of each token in its text, int32 [T].
            bias: The bias of the attention scores, float32, broadcast to [N, T, T].
            wanted: The tokens whose vectors are needed; None means all.

        Returns:
            A vector for each token, float32 [T, H]; or for each wanted token, float32 [W, H].
        """
        # The names are those of the operations in a .tflite file, by which a quantizer chooses them.
        with tf.name_scope("embeddings"):
            hidden = self._embed(ids, types, positions)
        last = len(self.encoder.blocks) - 1
        for index, block in enumerate(self.encoder.blocks):
            with tf.name_scope(f"block_{index}"):
                hidden = self._block(block, hidden, bias, wanted if index == last else None)
        return hidden

    def _block(self, block: Any, hidden: tf.Tensor, bias: tf.Tensor, wanted: WantedTokens | None) -> tf.Tensor:
        with tf.name_scope("attention"):
            asking = hidden if wanted is None else wanted.select(hidden)
            attended = self._attend(block.attention, asking, hidden, bias if wanted is None else wanted.bias)
            hidden = asking
        with tf.name_scope("attention_norm"):
            hidden = self._normalize(hidden + attended, block.attention_norm)
        with tf.name_scope("intermediate"):
            inner = activation(self.config.hidden_act)(_project(hidden, block.intermediate))
        with tf.name_scope("output"):
            total = hidden + _project(inner, block.output_projection)
        if block.bottleneck is not None:
            with tf.name_scope("bottleneck"):
                normalized = self._normalize(total, block.output_norm)
                inner = activation(self.config.bottleneck_act)(_project(normalized, block.bottleneck.down))
                total = total + _project(inner, block.bottleneck.up)
        with tf.name_scope("output_norm"):
            return self._normalize(total, block.output_norm)

    def _embed(self, ids: tf.Tensor, types: tf.Tensor, positions: tf.Tensor | Array) -> tf.Tensor:
        embeddings = self.encoder.embeddings
        table = constant(embeddings.position_table)
        rows = weight(table[positions]) if isinstance(positions, np.ndarray) else _gather(table, positions)
        total = _gather(constant(embeddings.token_table), ids) + _gather(constant(embeddings.type_table), types) + rows
        return self._normalize(total, embeddings.norm)

    def _attend(self, attention: Any, asking: tf.Tensor, hidden: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
        """Returns the result of the attention of the tokens `asking` to the tokens `hidden`."""
        config = self.config
        kernels = np.split(kernel(attention.qkv), 3, axis=-1)
        biases = np.split(constant(attention.qkv.bias), 3)
        scale = np.float32(1.0 / math.sqrt(config.head_size))
        kernels[0], biases[0] = kernels[0] * scale, biases[0] * scale

        def heads(tokens: tf.Tensor, part: int, order: tuple[int, int, int]) -> tf.Tensor:
            return self._heads(tf.matmul(tokens, weight(kernels[part])) + weight(biases[part]), order)

        query, key, value = heads(asking, 0, (1, 0, 2)), heads(hidden, 1, (1, 2, 0)), heads(hidden, 2, (1, 0, 2))
        probabilities = tf.nn.softmax(tf.matmul(query, key) + bias)  # [N, T, T]
        return _project(self._joined(tf.matmul(probabilities, value)), attention.output_projection)

    def _heads(self, flat: tf.Tensor, order: tuple[int, int, int]) -> tf.Tensor:
        """Splits vectors, [T, H], into those of the heads, [T, N, D], with the axes in this order."""
        return tf.transpose(tf.reshape(flat, [-1, self.config.num_attention_heads, self.config.head_size]), order)

    def _joined(self, context: tf.Tensor) -> tf.Tensor:
        """Joins the vectors of the heads, [N, T, D], to vectors [T, H]."""
        return tf.reshape(tf.transpose(context, (1, 0, 2)), [-1, self.config.hidden_size])

    def _normalize(self, values: tf.Tensor, norm: Any) -> tf.Tensor:
        centred = values - tf.reduce_mean(values, -1, keepdims=True)
        variance = tf.reduce_mean(tf.square(centred), -1, keepdims=True)
        scale = tf.math.rsqrt(variance + self.config.layer_norm_eps)
        if self._unchanged_kernels:
            # The converter only moves the last factor into the next product, and only if it is a constant.
            return centred * constant(norm.gamma) * scale + constant(norm.beta)
        return centred * scale * constant(norm.gamma) + constant(norm.beta)


class BatchedEncoder(PackedEncoder):
    """A function from the tokens of a batch of texts to their vectors, for any number of texts and tokens."""

    def __call__(self, ids: tf.Tensor, mask: tf.Tensor, types: tf.Tensor) -> tf.Tensor:  # type: ignore[override]
        """Computes the outputs of the last block.

        Args:
            ids: Token ids, int32 [B, S].
            mask: 1 for tokens and 0 for padding, int32 [B, S].
            types: Segment ids, int32 [B, S].

        Returns:
            A vector for each token, float32 [B, S, H].
        """
        shape = tf.shape(ids)
        self._length = tf.slice(shape, [1], [1])
        positions = tf.tile(tf.range(tf.reshape(self._length, [])), tf.slice(shape, [0], [1]))
        bias = tf.expand_dims(tf.expand_dims((1.0 - tf.cast(mask, tf.float32)) * MASK_BIAS, 1), 1)
        hidden = super().__call__(tf.reshape(ids, [-1]), tf.reshape(types, [-1]), positions, bias)
        return tf.reshape(hidden, tf.concat([shape, [self.config.hidden_size]], 0))

    def _heads(self, flat: tf.Tensor, order: tuple[int, int, int]) -> tf.Tensor:
        heads = [self.config.num_attention_heads, self.config.head_size]
        split = tf.reshape(flat, tf.concat([[-1], self._length, heads], 0))
        return tf.transpose(split, (0, *(axis + 1 for axis in order)))

    def _joined(self, context: tf.Tensor) -> tf.Tensor:
        return tf.reshape(tf.transpose(context, (0, 2, 1, 3)), [-1, self.config.hidden_size])


def padding_bias(mask: tf.Tensor) -> tf.Tensor:
    """Returns the bias for one text with padding: int32 [T], 1 for tokens and 0 for padding → float32 [1, 1, T]."""
    return (1.0 - tf.reshape(tf.cast(mask, tf.float32), [1, 1, -1])) * MASK_BIAS


def text_bias(texts: tf.Tensor, asking: tf.Tensor | None = None) -> tf.Tensor:
    """Returns the bias that confines attention to each text.

    Args:
        texts: The number of the text of each token, int32 [T].
        asking: That of each token which attends, int32 [W]; None means all tokens.

    Returns:
        float32 [W, T].
    """
    # LiteRT's delegate does not support comparisons of integers. Numbers of different texts differ by 1 at least.
    rows = tf.expand_dims(tf.cast(texts if asking is None else asking, tf.float32), 1)
    distances = tf.abs(tf.expand_dims(tf.cast(texts, tf.float32), 0) - rows)
    return tf.maximum(distances * MASK_BIAS, MASK_BIAS)


def constant(variable: Any) -> Array:
    """Returns the present value of a variable, also while a graph is traced."""
    with tf.init_scope():
        return np.asarray(variable)


def kernel(layer: Any) -> Array:
    """Returns the present kernel of a dense layer, with what LoRA adds to it, also while a graph is traced."""
    with tf.init_scope():
        return np.asarray(layer.merged_kernel())


def _project(values: tf.Tensor, layer: Any) -> tf.Tensor:
    """Applies the kernel and the bias of a dense layer to a matrix, without its activation."""
    return tf.matmul(values, weight(kernel(layer))) + weight(constant(layer.bias))


def _gather(table: Array, rows: tf.Tensor) -> tf.Tensor:
    return gather(tf.convert_to_tensor(weight(table)), rows)


def gather(matrix: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Returns rows of a matrix: [T, H] and int32 [W] → [W, H]."""
    # The raw operation, because tf.gather is converted with checks of the indices, which split the graph.
    return tf.raw_ops.GatherV2(params=matrix, indices=rows, axis=0)
