"""The encoder as an inference graph for LiteRT, with the weights of a built model.

Most Keras layers exported as they are leave operations that LiteRT's XNNPACK delegate cannot take: checks of indices,
5-D transposes, strided slices. Here all shapes are static, activations are matrices [S, H], and queries, keys and
values have products of their own with 1/sqrt(D) folded into the query's weights. LayerNorm is written out, since the
Keras layer becomes three more element-wise operations. So one delegate runs nearly all of it.

The pooler, the activation and the heads are the layers that users train: they become the same operations as if they
were written out. tests/export/test_litert_graph.py holds the rest equal to the encoder.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kbert.config import BertConfig
from kbert.layers.activations import activation
from kbert.layers.attention import MASK_BIAS
from kbert.models.encoder import BertEncoder

Array = np.ndarray


class InferenceGraph(tf.Module):
    """An encoder for one sequence of fixed length.

    Args:
        encoder: The encoder whose weights the graph uses.
        sequence_length: The number of tokens of an input, S.
    """

    def __init__(self, encoder: BertEncoder, sequence_length: int) -> None:
        super().__init__(name="inference_graph")
        self.encoder = encoder
        self.config: BertConfig = encoder.config
        self.sequence_length = sequence_length

    def __call__(
        self, input_word_ids: tf.Tensor, input_mask: tf.Tensor, input_type_ids: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Computes the outputs of the encoder.

        Args:
            input_word_ids: Token ids, int32 [1, S].
            input_mask: 1 for tokens and 0 for padding, int32 [1, S].
            input_type_ids: Segment ids, int32 [1, S].

        Returns:
            `sequence_output`, float32 [1, S, H], and `pooled_output`, float32 [1, H], if the encoder has a pooler.
        """
        length, width = self.sequence_length, self.config.hidden_size
        hidden = self._embed(tf.reshape(input_word_ids, [length]), tf.reshape(input_type_ids, [length]))
        mask = tf.reshape(tf.cast(input_mask, tf.float32), [1, 1, length])
        bias = (1.0 - mask) * MASK_BIAS
        for block in self.encoder.blocks:
            hidden = self._block(block, hidden, bias)
        outputs = {"sequence_output": tf.reshape(hidden, [1, length, width])}
        if self.encoder.pooler is not None:
            pooler = self.encoder.pooler
            with constants_of(pooler.variables):
                outputs["pooled_output"] = pooler(outputs["sequence_output"])
        return outputs

    def _embed(self, ids: tf.Tensor, types: tf.Tensor) -> tf.Tensor:
        embeddings = self.encoder.embeddings
        tokens = _gather(constant(embeddings.token_table), ids)
        type_rows = _gather(constant(embeddings.type_table), types)
        positions = constant(embeddings.position_table)[: self.sequence_length]
        return self._normalize(tokens + type_rows + positions, embeddings.norm)

    def _block(self, block: Any, hidden: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
        attended = self._attend(block.attention, hidden, bias)
        hidden = self._normalize(hidden + attended, block.attention_norm)
        inner = self._activate(project(hidden, block.intermediate))
        return self._normalize(hidden + project(inner, block.output_projection), block.output_norm)

    def _attend(self, attention: Any, hidden: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
        config, length = self.config, self.sequence_length
        kernels = np.split(constant(attention.qkv.kernel), 3, axis=-1)
        biases = np.split(constant(attention.qkv.bias), 3)
        scale = np.float32(1.0 / math.sqrt(config.head_size))
        kernels[0], biases[0] = kernels[0] * scale, biases[0] * scale

        def heads(part: int, order: tuple[int, int, int]) -> tf.Tensor:
            flat = tf.matmul(hidden, kernels[part]) + biases[part]
            return tf.transpose(tf.reshape(flat, [length, config.num_attention_heads, config.head_size]), order)

        query, key, value = heads(0, (1, 0, 2)), heads(1, (1, 2, 0)), heads(2, (1, 0, 2))
        probabilities = tf.nn.softmax(tf.matmul(query, key) + bias)  # [N, S, S]
        context = tf.transpose(tf.matmul(probabilities, value), (1, 0, 2))
        return project(tf.reshape(context, [length, config.hidden_size]), attention.output_projection)

    def _normalize(self, values: tf.Tensor, norm: Any) -> tf.Tensor:
        centred = values - tf.reduce_mean(values, -1, keepdims=True)
        variance = tf.reduce_mean(tf.square(centred), -1, keepdims=True)
        scale = tf.math.rsqrt(variance + self.config.layer_norm_eps)
        return centred * scale * constant(norm.gamma) + constant(norm.beta)

    def _activate(self, values: tf.Tensor) -> tf.Tensor:
        return activation(self.config.hidden_act)(values)


def constant(variable: Any) -> Array:
    """Returns the present value of a variable, also while a graph is traced."""
    with tf.init_scope():
        return np.asarray(variable)


def constants_of(variables: Iterable[Any]) -> Any:
    """Returns a scope in which layers use constants instead of their variables.

    LiteRT would store variables separately from the graph.
    """
    return keras.StatelessScope(state_mapping=[(variable, constant(variable)) for variable in variables])


def project(values: tf.Tensor, layer: Any) -> tf.Tensor:
    """Applies the kernel and the bias of a dense layer to a matrix, without its activation."""
    return tf.matmul(values, constant(layer.kernel)) + constant(layer.bias)


def _gather(table: Array, rows: tf.Tensor) -> tf.Tensor:
    # The raw operation, because tf.gather is converted with checks of the indices, which split the graph.
    return tf.raw_ops.GatherV2(params=tf.constant(table), indices=rows, axis=0)
