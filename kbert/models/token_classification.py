"""An encoder that classifies tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from kbert import features
from kbert.layers.heads import ClassificationHead
from kbert.models.encoder import BertEncoder


class TokenClassificationModel(keras.Model):
    """An encoder with logits of classes on each token.

    Takes the encoder's features; gives a dict of `logits`, float32 [B, S, C].

    Args:
        encoder: The encoder; its pooler is not used.
        classes: How many classes, C.
    """

    def __init__(self, encoder: BertEncoder, classes: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.encoder = encoder
        self.head = ClassificationHead(encoder.config, classes, encoder.seed_generator, name="head")
        self.head.build((None, None, encoder.config.hidden_size))
        self.built = True

    def call(self, inputs: Mapping[str, Any], training: bool | None = None) -> dict[str, Any]:
        """Gives the logits."""
        return self.heads(self.encoder(features.encoder_part(inputs), training=training), inputs, training)

    def heads(self, encoded: Mapping[str, Any], inputs: Mapping[str, Any], training: bool | None = None) -> Any:
        """Gives the same from the encoder's outputs."""
        return {"logits": self.head(encoded["sequence_output"], training=training)}
