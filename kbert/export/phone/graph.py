"""The encoder as a graph for LiteRT, for one sequence of fixed length.

The pooler and the heads are the layers that users train: they become the same operations as if they were written out.
tests/export/phone/test_graph.py compares the graph with the encoder.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kbert.inference.litert_weights import weight
from kbert.inference.packed_encoder import PackedEncoder, WantedTokens, constant, padding_bias
from kbert.models.encoder import BertEncoder


class InferenceGraph:
    """An encoder for one sequence of fixed length. All shapes are static.

    Args:
        encoder: The encoder whose weights the graph uses.
        sequence_length: The number of tokens of an input, S.
        unchanged_kernels: See `PackedEncoder`.
    """

    def __init__(self, encoder: BertEncoder, sequence_length: int, *, unchanged_kernels: bool = False) -> None:
        self.encoder = encoder
        self.packed = PackedEncoder(encoder, unchanged_kernels=unchanged_kernels)
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
            `sequence_output`, float32 [1, S, H], unless the encoder computes only the pooled output; and
            `pooled_output`, float32 [1, H], if the encoder has a pooler.
        """
        length, width = self.sequence_length, self.encoder.config.hidden_size
        ids, mask, types = (tf.reshape(value, [length]) for value in (input_word_ids, input_mask, input_type_ids))
        bias = padding_bias(mask)

        def first_row(rows: tf.Tensor) -> tf.Tensor:
            # The pooler would read the first vector by an operation that XNNPACK does not support.
            return tf.slice(rows, [0, 0], [1, width])

        wanted = WantedTokens(first_row, bias) if self.encoder.pooled_only else None
        hidden = self.packed(ids, types, np.arange(length), bias, wanted)
        outputs = {} if wanted is not None else {"sequence_output": tf.reshape(hidden, [1, length, width])}
        pooler = self.encoder.pooler
        if pooler is not None:
            first = hidden if wanted is not None else first_row(hidden)
            with constants_of(pooler.variables):
                outputs["pooled_output"] = pooler.dense(first)
        return outputs


def constants_of(variables: Iterable[Any]) -> Any:
    """Returns a scope in which layers use constants instead of their variables, which LiteRT would store separately."""
    return keras.StatelessScope(state_mapping=[(variable, weight(constant(variable))) for variable in variables])
