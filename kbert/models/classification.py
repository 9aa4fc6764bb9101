"""A model that classifies texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from kbert.layers.heads import ClassificationHead
from kbert.models.encoder import BertEncoder
from kbert.models.head_model import HeadModel


@keras.saving.register_keras_serializable("kbert")
class ClassificationModel(HeadModel):
    """An encoder with a classifier on its pooled output.

    The input is a dict of the encoder's features. The output is a dict of `logits`, float32 [B, C].

    Args:
        encoder: The encoder. It must have a pooler.
        classes: The number of classes, C.

    Example:
        >>> preprocessor = kbert.Preprocessor("vocab.txt", sequence_length=8)
        >>> model = kbert.ClassificationModel.from_preset("tiny", classes=3)
        >>> tuple(model(preprocessor(["the cat", "a dog"]))["logits"].shape)
        (2, 3)

    Raises:
        UsageError: The dtype policy differs from that of the encoder.
    """

    def __init__(self, encoder: BertEncoder, classes: int, **kwargs: Any) -> None:
        super().__init__(encoder, **kwargs)
        encoder = self.encoder
        self.head = ClassificationHead(encoder.config, classes, encoder.seed_generator, dtype="float32", name="head")
        self.head.build((None, encoder.config.hidden_size))
        self.built = True

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor as plain data."""
        return super().get_config() | {"classes": self.head.dense.units}

    def heads(self, encoded: Mapping[str, Any], inputs: Mapping[str, Any], training: bool | None = None) -> Any:
        """Returns the logits, computed from the outputs of the encoder."""
        return {"logits": self.head(encoded["pooled_output"], training=training)}
