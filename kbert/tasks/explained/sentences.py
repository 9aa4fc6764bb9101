"""The places of the tokens of joined sentences, as operations of a graph."""

from __future__ import annotations

import tensorflow as tf

from kbert.tasks.protocol.explaining import TokenPlaces
from kbert.tasks.protocol.objective import Tensors
from kbert.text.graph.encoder import GraphEncoder


def sentence_places(encode: GraphEncoder, encoded: Tensors, longest: int) -> TokenPlaces:
    """Returns the places of the tokens of all windows in their sentences, int32 [W, S] each.

    Args:
        encode: The tokenizer in the graph.
        encoded: The windows, from `SummarizationTask.encode`.
        longest: The largest number of tokens of a sentence, with [CLS] and [SEP].
    """
    texts = tf.gather_nd(encoded["sentences"], encoded["places"])
    _, starts, ends = encode.tokenizer.with_offsets(texts)
    sentences = tf.cast(encoded["places"][:, 1:], tf.int32)

    def by_window(values: tf.RaggedTensor, other: int) -> tf.Tensor:
        special = tf.fill([values.nrows(), 1], other)
        rows = tf.concat([special, values[:, : longest - 2], special], 1)  # [CLS] sentence [SEP]
        lengths = tf.math.segment_sum(rows.row_lengths(), encoded["windows"])
        return tf.RaggedTensor.from_row_lengths(rows.flat_values, lengths).to_tensor(other)

    return TokenPlaces(by_window(tf.zeros_like(starts) + sentences, -1), by_window(starts, 0), by_window(ends, 0))
