"""A model that predicts a number for each text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from kbert.layers.heads import ClassificationHead
from kbert.models.encoder import BertEncoder
from kbert.models.head_model import HeadModel


@keras.saving.register_keras_serializable("kbert")
class RegressionModel(HeadModel):
    """An encoder that predicts a number from its pooled output.

    The input is a dict of the encoder's features. The output is a dict of `logits`, float32 [B, 1]: the output of the
    head times `deviation`, plus `mean`. A head with fresh weights therefore predicts numbers near the mean, and the
    speed of learning does not depend on the scale of the numbers.

    Args:
        encoder: The encoder. It must have a pooler.
        mean: The mean of the training targets.
        deviation: The standard deviation of the training targets.

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

    def heads(self, encoded: Mapping[str, Any], inputs: Mapping[str, Any], training: bool | None = None) -> Any:
        """Returns the predicted numbers, computed from the outputs of the encoder."""
        scaled = self.head(encoded["pooled_output"], training=training)
        return {"logits": scaled * self.deviation + self.mean}
