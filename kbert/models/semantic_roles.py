"""A model that finds the predicates of a text, and the senses and roles of one predicate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from kbert import features
from kbert.layers.heads import ClassificationHead, gather_positions
from kbert.models.encoder import BertEncoder
from kbert.models.head_model import HeadModel

PREDICATE_CLASSES = 3
"""The number of tags of predicates: outside, begin and inside."""


@keras.saving.register_keras_serializable("kbert")
class SemanticRolesModel(HeadModel):
    """An encoder with classifiers of tokens as predicates and as roles, and a classifier of the sense of a predicate.

    The input is a dict of the encoder's features. Rows whose token types are all 0 are read for their predicates. In a
    row for the roles of a predicate, the tokens of the predicate have the type 1.

    The output is a dict of `predicate_logits`, float32 [B, S, 3], of `role_logits`, float32 [B, S, C], and of
    `sense_logits`, float32 [B, K], computed from the first token of the type 1.

    Args:
        encoder: The encoder. Its pooler is optional and not used.
        classes: The number of tags of roles, C.
        senses: The number of senses, K; without senses there is no output for them.

    Raises:
        UsageError: The dtype policy differs from that of the encoder.
    """

    def __init__(self, encoder: BertEncoder, classes: int, senses: int = 0, **kwargs: Any) -> None:
        super().__init__(encoder, **kwargs)
        encoder = self.encoder
        width = encoder.config.hidden_size

        def head(units: int, name: str) -> ClassificationHead:
            made = ClassificationHead(encoder.config, units, encoder.seed_generator, dtype="float32", name=name)
            made.build((None, None, width))
            return made

        self.predicates = head(PREDICATE_CLASSES, "predicates")
        self.head = head(classes, "head")
        self.senses = head(senses, "senses") if senses else None
        self.built = True

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor as plain data."""
        senses = 0 if self.senses is None else self.senses.dense.units
        return super().get_config() | {"classes": self.head.dense.units, "senses": senses}

    def heads(self, encoded: Mapping[str, Any], inputs: Mapping[str, Any], training: bool | None = None) -> Any:
        """Returns the logits, computed from the outputs of the encoder."""
        hidden = encoded["sequence_output"]
        outputs = {
            "predicate_logits": self.predicates(hidden, training=training),
            "role_logits": self.head(hidden, training=training),
        }
        if self.senses is not None:
            marked = ops.cast(ops.equal(inputs[features.INPUT_TYPE_IDS.name], 1), "int32")
            first = ops.cast(ops.argmax(marked, axis=-1), "int32")
            outputs["sense_logits"] = self.senses(gather_positions(hidden, first[:, None]), training=training)
        return outputs
