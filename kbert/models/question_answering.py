"""A model that finds the start and the end of an answer in a text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from kbert.layers.projection import Projection, initializer
from kbert.models.encoder import BertEncoder
from kbert.models.head_model import HeadModel


@keras.saving.register_keras_serializable("kbert")
class QuestionAnsweringModel(HeadModel):
    """An encoder with two logits for each token: of the start and of the end of the answer.

    The input is a dict of the encoder's features. The output is a dict of `start_logits` and `end_logits`,
    float32 [B, S] each.

    Args:
        encoder: The encoder. Its pooler is optional and not used.

    Example:
        >>> preprocessor = kbert.Preprocessor("vocab.txt", sequence_length=8)
        >>> model = kbert.QuestionAnsweringModel.from_preset("tiny")
        >>> tuple(model(preprocessor(["the cat", "a dog"]))["start_logits"].shape)
        (2, 8)

    Raises:
        UsageError: The dtype policy differs from that of the encoder.
    """

    def __init__(self, encoder: BertEncoder, **kwargs: Any) -> None:
        super().__init__(encoder, **kwargs)
        encoder = self.encoder
        self.head = Projection(
            2, initializer(encoder.config.initializer_range, encoder.seed_generator), dtype="float32", name="head"
        )
        self.head.build((None, None, encoder.config.hidden_size))
        self.built = True

    def heads(self, encoded: Mapping[str, Any], inputs: Mapping[str, Any], training: bool | None = None) -> Any:
        """Returns the logits, computed from the outputs of the encoder."""
        logits = self.head(encoded["sequence_output"])
        return {"start_logits": logits[..., 0], "end_logits": logits[..., 1]}
