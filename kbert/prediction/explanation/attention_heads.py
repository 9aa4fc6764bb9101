"""What the attention heads of an encoder look at, over some texts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kbert import features
from kbert.prediction.text_batches import InputKind
from kbert.prediction.text_model import TextModel


@dataclasses.dataclass(frozen=True)
class HeadMeasures:
    """Means over all tokens of some texts, [layers, heads] each.

    Args:
        distance: The distance of a token from the tokens that it attends to, in tokens.
        entropy: The entropy of the attention of a token, in bits; 0 if it attends to a single token.
        to_separator: The part of the attention that goes to [SEP].
    """

    distance: np.ndarray
    entropy: np.ndarray
    to_separator: np.ndarray


def attention_heads(
    text_model: TextModel, inputs: Mapping[str, Sequence[Any]], kinds: Mapping[str, InputKind], *, batch_size: int = 8
) -> HeadMeasures:
    """Returns what the attention heads of a model look at.

    Attention is no explanation: other weights may give the same answer (arXiv 1902.10186).

    Args:
        text_model: The model.
        inputs: The inputs of the task by name.
        kinds: The inputs of the task, which make tensors.
        batch_size: The number of texts that are processed together.
    """
    measure = tf.function(
        lambda *columns: _sums(text_model, dict(zip(inputs, columns, strict=True))),
        autograph=False,
        reduce_retracing=True,
    )
    total, tokens = np.zeros(()), 0.0
    count = len(next(iter(inputs.values())))
    for start in range(0, count, batch_size):
        columns = [kinds[name].tensor(values[start : start + batch_size]) for name, values in inputs.items()]
        sums, of_batch = measure(*columns)
        total, tokens = total + sums.numpy().astype(np.float64), tokens + float(of_batch)
    return HeadMeasures(*(total / max(tokens, 1.0)))


def _sums(text_model: TextModel, inputs: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the sums of the three measures over the tokens, float32 [3, layers, heads], and the number of tokens."""
    task, encode, encoder = text_model.task, text_model.encode, text_model.model.encoder
    encoded = task.encode(encode, task.add_prompts(inputs))
    # A list of choices has a row for each choice.
    ids, mask, types = (
        tf.reshape(encoded[feature.name], [-1, tf.shape(encoded[feature.name])[-1]])
        for feature in features.ENCODER_FEATURES
    )
    hidden = encoder.embeddings(ids, types, training=False)
    bias = encoder.get_layer("attention_bias")(mask)
    place = tf.range(tf.shape(ids)[1])
    distance = tf.cast(tf.abs(place[:, None] - place[None]), tf.float32)
    is_separator = tf.cast((ids == encode.tokenizer.vocabulary.sep_id) & (mask == 1), tf.float32)
    of_tokens = tf.cast(mask, tf.float32)
    layers = []
    for block in encoder.blocks:
        weights = block.attention.probabilities(hidden, bias)  # [B, N, S, S]
        logarithms = tf.math.log(tf.maximum(weights, np.finfo(np.float32).tiny)) / np.log(2)
        measured = (
            tf.einsum("bnst,st,bs->n", weights, distance, of_tokens),
            -tf.einsum("bnst,bnst,bs->n", weights, logarithms, of_tokens),
            tf.einsum("bnst,bt,bs->n", weights, is_separator, of_tokens),
        )
        layers.append(tf.stack(measured))
        hidden = block(hidden, bias, training=False)
    return tf.stack(layers, 1), tf.reduce_sum(of_tokens)
