"""An encoder that gives a text a number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from kbert import features
from kbert.layers.heads import ClassificationHead
from kbert.models.encoder import BertEncoder
from kbert.models.head_model import HeadModel


@keras.saving.register_keras_serializable("kbert")
class RegressionModel(HeadModel):
    """An encoder with a number on its pooled output.

    Takes the encoder's features; gives a dict of `logits`, float32 [B, 1]: the head's output times `deviation`, plus
    `mean`. So a head with fresh weights begins near the mean, and learns numbers of any size equally fast.

    Args:
        encoder: The encoder, with its pooler.
        mean: Of the numbers to learn.
        deviation: Their standard deviation.

    Example:
        >>> preprocessor = kbert.Preprocessor("vocab.txt", sequence_length=8)
        >>> model = kbert.RegressionModel.from_preset("tiny")
        >>> tuple(model(preprocessor(["the cat", "a dog"]))["logits"].shape)
        (2, 1)

    Raises:
        UsageError: The dtype policy differs from that of the encoder.
    """

    def __init__(self, encoder: BertEncoder, mean: float = 0.0, deviation: float = 1.0, **kwargs: Any) -> None:
        super().__init__(encoder, **kwargs)
        encoder = self.encoder
        self.mean = mean
        self.deviation = deviation
        self.head = ClassificationHead(encoder.config, 1, encoder.seed_generator, dtype="float32", name="head")
        self.head.build((None, encoder.config.hidden_size))
        self.built = True

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor as plain data."""
        return super().get_config() | {"mean": self.mean, "deviation": self.deviation}

    def call(self, inputs: Mapping[str, Any], training: bool | None = None) -> dict[str, Any]:
        """Gives the numbers."""
        return self.heads(self.encoder(features.encoder_part(inputs), training=training), inputs, training)

    def heads(self, encoded: Mapping[str, Any], inputs: Mapping[str, Any], training: bool | None = None) -> Any:
        """Gives the same from the encoder's outputs."""
        scaled = self.head(encoded["pooled_output"], training=training)
        return {"logits": scaled * self.deviation + self.mean}
