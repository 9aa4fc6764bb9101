"""A model that selects one of several choices."""

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
class MultipleChoiceModel(HeadModel):
    """An encoder with a logit for each choice of an example, computed from its pooled output.

    The input is a dict of the encoder's features for each of C choices, int32 [B, C, S] each. The output is a dict of
    `logits`, float32 [B, C].

    Args:
        encoder: The encoder. It must have a pooler.

    Example:
        >>> preprocessor = kbert.Preprocessor("vocab.txt", sequence_length=8)
        >>> model = kbert.MultipleChoiceModel.from_preset("tiny")
        >>> choices = preprocessor(["the cat", "a dog"])
        >>> features = {name: value[None] for name, value in choices.items()}
        >>> tuple(model(features)["logits"].shape)
        (1, 2)

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
        """Returns the features with a row for each choice."""
        return text_rows(inputs)

    def heads(self, encoded: Mapping[str, Any], inputs: Mapping[str, Any], training: bool | None = None) -> Any:
        """Returns the logits, computed from the outputs of the encoder, which have a row for each choice."""
        choices = ops.shape(inputs[features.INPUT_WORD_IDS.name])[1]
        return {"logits": ops.reshape(self.head(encoded["pooled_output"], training=training), (-1, choices))}
