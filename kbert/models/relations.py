"""A model that finds the relation between two entities of a text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from kbert import features
from kbert.layers.heads import ClassificationHead, gather_positions
from kbert.layers.projection import Projection, initializer
from kbert.models.encoder import BertEncoder
from kbert.models.head_model import HeadModel


@keras.saving.register_keras_serializable("kbert")
class RelationModel(HeadModel):
    """An encoder with a classifier on the vectors of [CLS], of the head and of the tail (arXiv 1905.08284, 1906.03158).

    The input is a dict of the encoder's features and of `entity_positions`, int32 [B, 2], the positions of the tokens
    whose vectors are those of the head and of the tail. The output is a dict of `logits`, float32 [B, C].

    Args:
        encoder: The encoder. Its pooler is optional and not used.
        classes: The number of relations, C.

    Raises:
        UsageError: The dtype policy differs from that of the encoder.
    """

    def __init__(self, encoder: BertEncoder, classes: int, **kwargs: Any) -> None:
        super().__init__(encoder, **kwargs)
        encoder = self.encoder
        config, generator = encoder.config, encoder.seed_generator
        kernel = initializer(config.initializer_range, generator)
        self.dense = Projection(config.hidden_size, kernel, "tanh", dtype="float32", name="dense")
        self.dense.build((None, 3 * config.hidden_size))
        self.head = ClassificationHead(config, classes, generator, dtype="float32", name="head")
        self.head.build((None, config.hidden_size))
        self.built = True

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor as plain data."""
        return super().get_config() | {"classes": self.head.dense.units}

    def heads(self, encoded: Mapping[str, Any], inputs: Mapping[str, Any], training: bool | None = None) -> Any:
        """Returns the logits, computed from the outputs of the encoder."""
        hidden = encoded["sequence_output"]
        entities = gather_positions(hidden, inputs[features.ENTITY_POSITIONS.name])
        # The width is that of the layers, since the vectors of another engine may have an unknown one.
        width = self.encoder.config.hidden_size
        vectors = ops.concatenate([hidden[:, 0], ops.reshape(entities, (-1, 2 * width))], axis=-1)
        return {"logits": self.head(self.dense(vectors, training=training), training=training)}
