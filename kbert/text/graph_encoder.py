"""Texts to the encoder's features, inside a TF graph: [CLS] text [SEP] pair [SEP], cut and padded."""

from __future__ import annotations

import tensorflow as tf

from kbert import features
from kbert.errors import UsageError
from kbert.text.graph_tokenizer import GraphTokenizer


class GraphEncoder(tf.Module):
    """Encodes texts or pairs.

    Args:
        tokenizer: Gives the ids.
        sequence_length: Longest sequence, special tokens included; the longer text loses its end first.

    Raises:
        UsageError: `sequence_length` leaves no room for text.
    """

    def __init__(self, tokenizer: GraphTokenizer, sequence_length: int) -> None:
        super().__init__(name="graph_encoder")
        if sequence_length < 5:
            raise UsageError(f"sequence_length must be at least 5. Received: sequence_length={sequence_length}")
        self.tokenizer = tokenizer
        self.sequence_length = sequence_length

    def __call__(self, texts: tf.Tensor, pairs: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        """Encodes strings [B], and with `pairs` strings [B]; gives features int32 [B, S], S that of the longest."""
        ids, type_ids = self.ragged(texts, pairs)
        return {
            features.INPUT_WORD_IDS.name: ids.to_tensor(self.tokenizer.vocabulary.pad_id),
            features.INPUT_MASK.name: tf.ones_like(ids).to_tensor(),
            features.INPUT_TYPE_IDS.name: type_ids.to_tensor(),
        }

    def ragged(self, texts: tf.Tensor, pairs: tf.Tensor | None = None) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
        """Encodes without padding: ids and type ids, RaggedTensor int32 [B, None] each."""
        vocabulary = self.tokenizer.vocabulary
        first = self.tokenizer(texts)
        count = first.nrows()
        begin = tf.RaggedTensor.from_row_lengths(
            tf.fill([count], vocabulary.classification_id), tf.ones([count], tf.int64)
        )
        end = tf.RaggedTensor.from_row_lengths(tf.fill([count], vocabulary.separator_id), tf.ones([count], tf.int64))
        if pairs is None:
            ids = tf.concat([begin, first[:, : self.sequence_length - 2], end], 1)
            return ids, tf.zeros_like(ids)
        second = self.tokenizer(pairs)
        first, second = _truncate(first, second, self.sequence_length - 3)
        left = tf.concat([begin, first, end], 1)
        right = tf.concat([second, end], 1)
        return tf.concat([left, right], 1), tf.concat([tf.zeros_like(left), tf.ones_like(right)], 1)


def _truncate(first: tf.RaggedTensor, second: tf.RaggedTensor, room: int) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
    """The rule of `truncation.truncated_lengths`, for rows of tokens."""
    lengths = first.row_lengths(), second.row_lengths()
    keep_first = tf.minimum(lengths[0], tf.maximum(room - lengths[1], (room + 1) // 2))
    keep_second = tf.minimum(lengths[1], tf.maximum(room - lengths[0], room // 2))
    return _keep(first, keep_first), _keep(second, keep_second)


def _keep(rows: tf.RaggedTensor, lengths: tf.Tensor) -> tf.RaggedTensor:
    positions = tf.ragged.range(rows.row_lengths())
    kept = positions.flat_values < tf.gather(lengths, positions.value_rowids())
    return tf.ragged.boolean_mask(rows, rows.with_flat_values(kept))
