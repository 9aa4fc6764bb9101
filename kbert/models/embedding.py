"""An encoder that gives one vector a text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from kbert import features
from kbert.models.encoder import BertEncoder
from kbert.models.head_model import HeadModel

POOLINGS = ("mean", "cls")
"""The mean of all tokens' vectors, or that of [CLS]."""


@keras.saving.register_keras_serializable("kbert")
class EmbeddingModel(HeadModel):
    """An encoder with a vector of length 1 for each text.

    Takes the encoder's features, int32 [B, S], or with a dimension of texts that belong together, int32 [B, C, S];
    gives a dict of `vector`, float32 [B, H] or [B, C, H].

    Args:
        encoder: The encoder; its pooler is not used.
        pooling: "mean" or "cls".
    """

    def __init__(self, encoder: BertEncoder, pooling: str = "mean", **kwargs: Any) -> None:
        super().__init__(encoder, **kwargs)
        self.pooling = pooling
        self.built = True

    def get_config(self) -> dict[str, Any]:
        """The arguments, as plain data."""
        return super().get_config() | {"pooling": self.pooling}

    def call(self, inputs: Mapping[str, Any], training: bool | None = None) -> dict[str, Any]:
        """Gives the vectors."""
        shape = ops.shape(inputs[features.INPUT_WORD_IDS.name])
        rows = {name: ops.reshape(value, (-1, shape[-1])) for name, value in features.encoder_part(inputs).items()}
        outputs = self.heads(self.encoder(rows, training=training), rows, training)
        width = self.encoder.config.hidden_size
        return {name: ops.reshape(value, (*shape[:-1], width)) for name, value in outputs.items()}

    def heads(self, encoded: Mapping[str, Any], inputs: Mapping[str, Any], training: bool | None = None) -> Any:
        """Gives the same from the encoder's outputs, which have a row a text."""
        vector = pooled(encoded["sequence_output"], inputs[features.INPUT_MASK.name], self.pooling)
        squares = ops.sum(ops.square(vector), axis=-1, keepdims=True)
        return {"vector": vector * ops.rsqrt(ops.maximum(squares, 1e-12))}


def pooled(hidden: Any, mask: Any, pooling: str) -> Any:
    """One vector a row: takes float32 [B, S, H] and the mask, int32 [B, S]; gives float32 [B, H]."""
    if pooling == "cls":
        return hidden[:, 0]
    weights = ops.expand_dims(ops.cast(mask, hidden.dtype), -1)
    return ops.sum(hidden * weights, axis=1) / ops.maximum(ops.sum(weights, axis=1), 1.0)
