"""A model that computes a vector for each text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from kbert import features
from kbert.layers.attention import MASK_BIAS
from kbert.models.encoder import BertEncoder
from kbert.models.head_model import HeadModel, text_rows


@keras.saving.register_keras_serializable("kbert")
class EmbeddingModel(HeadModel):
    """An encoder that computes a vector for each text, of length 1 by default.

    The input is a dict of the encoder's features, int32 [B, S], or int32 [B, C, S] for groups of C texts. The output is
    a dict of `vector`, float32 [B, H] or [B, C, H].

    Args:
        encoder: The encoder. Its pooler is optional and not used.
        pooling: How the vector of a text is computed from those of its tokens: "mean", "cls" or "max".
        normalize: Whether vectors are scaled to length 1.

    Example:
        >>> preprocessor = kbert.Preprocessor("vocab.txt", sequence_length=8)
        >>> model = kbert.EmbeddingModel.from_preset("tiny")
        >>> tuple(model(preprocessor(["the cat", "a dog"]))["vector"].shape)
        (2, 128)

    Raises:
        UsageError: The dtype policy differs from that of the encoder.
    """

    def __init__(self, encoder: BertEncoder, pooling: str = "mean", normalize: bool = True, **kwargs: Any) -> None:
        super().__init__(encoder, **kwargs)
        self.pooling = pooling
        self.normalize = normalize
        self.built = True

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor as plain data."""
        return super().get_config() | {"pooling": self.pooling, "normalize": self.normalize}

    def encoder_inputs(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the features with a row for each text."""
        return text_rows(inputs)

    def heads(self, encoded: Mapping[str, Any], inputs: Mapping[str, Any], training: bool | None = None) -> Any:
        """Returns the vectors, computed from the outputs of the encoder, which have a row for each text."""
        mask = inputs[features.INPUT_MASK.name]
        shape = ops.shape(mask)
        vector = pooled(encoded["sequence_output"], ops.reshape(mask, (-1, shape[-1])), self.pooling)
        if self.normalize:
            squares = ops.sum(ops.square(vector), axis=-1, keepdims=True)
            vector = vector * ops.rsqrt(ops.maximum(squares, 1e-12))
        return {"vector": ops.reshape(vector, (*shape[:-1], vector.shape[-1]))}


def pooled(hidden: Any, mask: Any, pooling: str) -> Any:
    """Returns a vector for each row, float32 [B, H], given float32 [B, S, H] and the mask, int32 [B, S]."""
    if pooling == "cls":
        return hidden[:, 0]
    if pooling == "max":
        # The bias is below every value of a LayerNorm, and half precision can represent it.
        return ops.max(ops.where(ops.expand_dims(mask, -1) > 0, hidden, MASK_BIAS), axis=1)
    weights = ops.expand_dims(ops.cast(mask, hidden.dtype), -1)
    return ops.sum(hidden * weights, axis=1) / ops.maximum(ops.sum(weights, axis=1), 1.0)
