"""A model that scores how well a candidate matches a query: a cross-encoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from kbert import features
from kbert.layers.heads import ClassificationHead
from kbert.models.encoder import BertEncoder
from kbert.models.head_model import HeadModel, text_rows


@keras.saving.register_keras_serializable("kbert")
class RankingModel(HeadModel):
    """An encoder with a logit for each pair of query and candidate, computed from its pooled output.

    The input is a dict of the encoder's features, int32 [B, S], or int32 [B, C, S] for C candidates of each query. The
    output is a dict of `logits`, float32 [B] or [B, C].

    Args:
        encoder: The encoder. It must have a pooler.

    Example:
        >>> preprocessor = kbert.Preprocessor("vocab.txt", sequence_length=8)
        >>> model = kbert.RankingModel.from_preset("tiny")
        >>> tuple(model(preprocessor((["the cat", "a dog"], ["a mat", "the mat"])))["logits"].shape)
        (2,)

    Raises:
        UsageError: The dtype policy differs from that of the encoder.
    """

    def __init__(self, encoder: BertEncoder, **kwargs: Any) -> None:
        super().__init__(encoder, **kwargs)
        encoder = self.encoder
        self.head = ClassificationHead(encoder.config, 1, encoder.seed_generator, dtype="float32", name="head")
        self.head.build((None, encoder.config.hidden_size))
        self.built = True

    def encoder_inputs(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the features with a row for each candidate."""
        return text_rows(inputs)

    def heads(self, encoded: Mapping[str, Any], inputs: Mapping[str, Any], training: bool | None = None) -> Any:
        """Returns the logits, computed from the outputs of the encoder, which have a row for each candidate."""
        shape = ops.shape(inputs[features.INPUT_WORD_IDS.name])
        return {"logits": ops.reshape(self.head(encoded["pooled_output"], training=training), shape[:-1])}
