"""A model that predicts masked tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from kbert import features
from kbert.layers.heads import MaskedLanguageModelHead
from kbert.models.encoder import BertEncoder
from kbert.models.head_model import HeadModel


@keras.saving.register_keras_serializable("kbert")
class MaskedLanguageModel(HeadModel):
    """An encoder with the head of the masked language model.

    The input is a dict of the encoder's features and `masked_lm_positions`, int32 [B, P]. The output is a dict of
    `mlm_logits`, float32 [B, P, V].

    Args:
        encoder: The encoder. Its pooler is optional and not used.

    Example:
        >>> preprocessor = kbert.Preprocessor("vocab.txt", sequence_length=8)
        >>> model = kbert.MaskedLanguageModel.from_preset("tiny")
        >>> features = preprocessor(["the cat", "a dog"])
        >>> tuple(model(features | {"masked_lm_positions": np.int32([[1], [2]])})["mlm_logits"].shape)
        (2, 1, 30522)

    Raises:
        UsageError: The dtype policy differs from that of the encoder.
    """

    def __init__(self, encoder: BertEncoder, **kwargs: Any) -> None:
        super().__init__(encoder, **kwargs)
        encoder = self.encoder
        self.mlm_head = MaskedLanguageModelHead(
            encoder.config, encoder.seed_generator, dtype=encoder.dtype_policy, name="mlm_head"
        )
        self.mlm_head.build()
        self.built = True

    def heads(self, encoded: Mapping[str, Any], inputs: Mapping[str, Any], training: bool | None = None) -> Any:
        """Returns the logits, computed from the outputs of the encoder."""
        positions = inputs[features.MASKED_LM_POSITIONS.name]
        table = self.encoder.embeddings.token_table
        return {"mlm_logits": self.mlm_head(encoded["sequence_output"], positions, table)}
