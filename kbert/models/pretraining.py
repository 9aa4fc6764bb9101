"""The pretraining model: masked language model and next sentence prediction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from kbert import features
from kbert.layers.heads import MaskedLanguageModelHead
from kbert.layers.projection import Projection, initializer
from kbert.models.encoder import BertEncoder
from kbert.models.head_model import HeadModel


@keras.saving.register_keras_serializable("kbert")
class PretrainingModel(HeadModel):
    """An encoder with the two heads of pretraining.

    The input is a dict of the encoder's features and `masked_lm_positions`, int32 [B, P]. The output is a dict of
    `mlm_logits`, float32 [B, P, V], and `nsp_logits`, float32 [B, 2], or float32 [B, E, 2] with a packed encoder.

    If the encoder skips padding, training also skips unused predictions: the input then includes `masked_lm_weights`,
    float32 [B, P], and `mlm_logits` are computed only where these weights are above 0, float32 [U, V].

    Args:
        encoder: The encoder. It must have a pooler; the heads share its seed generator.
    """

    def __init__(self, encoder: BertEncoder, **kwargs: Any) -> None:
        super().__init__(encoder, **kwargs)
        encoder = self.encoder
        config, policy = encoder.config, encoder.dtype_policy
        self.mlm_head = MaskedLanguageModelHead(config, encoder.seed_generator, dtype=policy, name="mlm_head")
        self.nsp_head = Projection(
            2, initializer(config.initializer_range, encoder.seed_generator), dtype="float32", name="nsp_head"
        )
        self.mlm_head.build()
        self.nsp_head.build((None, config.hidden_size))
        self.built = True

    def heads(self, encoded: Mapping[str, Any], inputs: Mapping[str, Any], training: bool | None = None) -> Any:
        """Returns the logits of both heads, computed from the outputs of the encoder."""
        positions = inputs[features.MASKED_LM_POSITIONS.name]
        table = self.encoder.embeddings.token_table
        used = None
        if training and self.encoder.skip_padding:
            (used,) = ops.nonzero(ops.reshape(inputs[features.MASKED_LM_WEIGHTS.name] > 0, (-1,)))
        return {
            "mlm_logits": self.mlm_head(encoded["sequence_output"], positions, table, used),
            "nsp_logits": self.nsp_head(encoded["pooled_output"]),
        }
