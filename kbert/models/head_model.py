"""The base class of the models that consist of an encoder and a head."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from kbert import features
from kbert.errors import UsageError
from kbert.layers.layer import dtype_policy, serialized
from kbert.models.encoder import BertEncoder
from kbert.models.preset_model import PresetModel


class HeadModel(PresetModel, keras.Model):
    """The base class of an encoder with a head.

    Args:
        encoder: The encoder, or its serialized form. The head shares its seed generator.
        dtype: The dtype policy, which must be that of the encoder; None means the policy of the encoder.

    Raises:
        UsageError: The policy differs from that of the encoder.
    """

    encoder: BertEncoder

    def __init__(self, encoder: BertEncoder | Mapping[str, Any], *, dtype: Any = None, **kwargs: Any) -> None:
        if not isinstance(encoder, BertEncoder):
            encoder = keras.saving.deserialize_keras_object(dict(encoder))
        assert isinstance(encoder, BertEncoder)
        policy = encoder.dtype_policy
        if dtype is not None and dtype_policy(dtype) != policy:
            raise UsageError(
                f"a head must have the dtype policy of its encoder, {policy.name}; give dtype to the encoder. "
                f"Received: dtype={dtype_policy(dtype).name!r}"
            )
        super().__init__(dtype=policy, **kwargs)
        self.encoder = encoder

    def call(self, inputs: Mapping[str, Any], training: bool | None = None) -> dict[str, Any]:
        """Returns the outputs of the heads for a dict of features."""
        return self.heads(self.encoder(self.encoder_inputs(inputs), training=training), inputs, training)

    def encoder_inputs(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the features that the encoder reads, with a row for each text that it encodes, int32 [R, S].

        Together with `heads`, this method allows another implementation of the encoder to take its place.
        """
        return {feature.name: inputs[feature.name] for feature in self.encoder.input_features}

    @abstractmethod
    def heads(
        self, encoded: Mapping[str, Any], inputs: Mapping[str, Any], training: bool | None = None
    ) -> dict[str, Any]:
        """Returns the outputs of the model, computed from the outputs of the encoder.

        Args:
            encoded: The outputs of the encoder for `encoder_inputs(inputs)`.
            inputs: The features of the model.
            training: Whether dropout is applied.
        """

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor as plain data."""
        return {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "encoder": serialized(self.encoder),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """Creates a new model from the result of `get_config`, with fresh weights drawn with the same seed."""
        return cls(**config)


def text_rows(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the features of the encoder with a row for each text: int32 [..., S] → int32 [R, S]."""
    length = ops.shape(inputs[features.INPUT_WORD_IDS.name])[-1]
    return {name: ops.reshape(value, (-1, length)) for name, value in features.encoder_part(inputs).items()}
