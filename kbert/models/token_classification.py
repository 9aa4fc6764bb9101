"""A model that classifies tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from kbert.layers.crf import ConditionalRandomField
from kbert.layers.heads import ClassificationHead
from kbert.models.encoder import BertEncoder
from kbert.models.head_model import HeadModel


@keras.saving.register_keras_serializable("kbert")
class TokenClassificationModel(HeadModel):
    """An encoder with a classifier on each token.

    The input is a dict of the encoder's features. The output is a dict of `logits`, float32 [B, S, C]. With a CRF,
    which chooses the classes of all tokens together, `logits` are its emissions, and the output also contains its
    tables.

    Args:
        encoder: The encoder. Its pooler is optional and not used.
        classes: The number of classes, C.
        crf: Whether the model has a CRF.

    Example:
        >>> preprocessor = kbert.Preprocessor("vocab.txt", sequence_length=8)
        >>> model = kbert.TokenClassificationModel.from_preset("tiny", classes=3)
        >>> tuple(model(preprocessor(["the cat", "a dog"]))["logits"].shape)
        (2, 8, 3)

    Raises:
        UsageError: The dtype policy differs from that of the encoder.
    """

    def __init__(self, encoder: BertEncoder, classes: int, *, crf: bool = False, **kwargs: Any) -> None:
        super().__init__(encoder, **kwargs)
        encoder = self.encoder
        self.head = ClassificationHead(encoder.config, classes, encoder.seed_generator, dtype="float32", name="head")
        self.head.build((None, None, encoder.config.hidden_size))
        self.crf = ConditionalRandomField(classes, dtype="float32", name="crf") if crf else None
        if self.crf is not None:
            self.crf.build()
        self.built = True

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor as plain data."""
        return super().get_config() | {"classes": self.head.dense.units, "crf": self.crf is not None}

    def heads(self, encoded: Mapping[str, Any], inputs: Mapping[str, Any], training: bool | None = None) -> Any:
        """Returns the logits, computed from the outputs of the encoder."""
        logits = {"logits": self.head(encoded["sequence_output"], training=training)}
        return logits if self.crf is None else logits | self.crf.outputs()
