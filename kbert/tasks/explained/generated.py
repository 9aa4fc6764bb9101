"""Rows of a source and the generated text behind it, as operations of a graph."""

from __future__ import annotations

import tensorflow as tf

from kbert import features
from kbert.tasks.protocol.explaining import TokenPlaces
from kbert.tasks.protocol.objective import Tensors


def rows_with_targets(sources: Tensors, targets: tf.Tensor, lengths: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns rows of [CLS] source [SEP] target, and the positions whose next tokens are those of the target.

    Args:
        sources: The features of the sources, int32 [B, S] each.
        targets: The tokens of the targets without their ends, int32 [B, T].
        lengths: The number of tokens of each target, int32 [B].

    Returns:
        The features of the encoder, int32 [B, S + T] at most; and `masked_lm_positions`, int32 [B, T + 1], the last
        position of the source and those of the target, 0 in unused places.
    """
    mask = sources[features.INPUT_MASK.name]
    counts = tf.reduce_sum(mask, -1)
    source = tf.RaggedTensor.from_tensor(sources[features.INPUT_WORD_IDS.name], counts)
    target = tf.RaggedTensor.from_tensor(targets, lengths)
    types = tf.concat([tf.zeros_like(source), tf.ones_like(target)], 1)
    places = tf.range(tf.shape(targets)[1] + 1)[None]
    return {
        features.INPUT_WORD_IDS.name: tf.concat([source, target], 1).to_tensor(),
        features.INPUT_MASK.name: tf.ones_like(types).to_tensor(),
        features.INPUT_TYPE_IDS.name: types.to_tensor(),
        features.MASKED_LM_POSITIONS.name: tf.where(places <= lengths[:, None], counts[:, None] - 1 + places, 0),
    }


def predicted_tokens(targets: tf.Tensor, lengths: tf.Tensor, end_id: int, longest: int) -> tf.Tensor:
    """Returns the tokens that are predicted at the positions of `rows_with_targets`, int32 [B, T + 1].

    Unused places hold -1, and so does the end of a target of `longest` tokens, which the model did not choose.

    Args:
        targets: The tokens of the targets without their ends, int32 [B, T].
        lengths: The number of tokens of each target, int32 [B].
        end_id: The token behind a target.
        longest: The largest number of tokens of a target.
    """
    places = tf.range(tf.shape(targets)[1] + 1)[None]
    tokens = tf.where(places < lengths[:, None], tf.pad(targets, [[0, 0], [0, 1]]), end_id)
    return tf.where((places <= lengths[:, None]) & (places < longest), tokens, -1)


def log_probability(logits: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
    """Returns the log probability of predicted tokens, float32 [B].

    Args:
        logits: The logits of the tokens at each position, float32 [B, T + 1, V].
        tokens: `predicted_tokens`.
    """
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(tokens, 0), logits)
    return -tf.reduce_sum(tf.where(tokens >= 0, losses, 0.0), -1)


def widened(places: TokenPlaces, width: tf.Tensor) -> TokenPlaces:
    """Returns the places of tokens in rows that have become longer; the further tokens always stay.

    Args:
        places: The places of the tokens of the sources, int32 [B, S].
        width: The length of the rows.
    """
    behind = [[0, 0], [0, width - tf.shape(places.texts)[1]]]
    return TokenPlaces(
        tf.pad(places.texts, behind, constant_values=-1), tf.pad(places.starts, behind), tf.pad(places.ends, behind)
    )
