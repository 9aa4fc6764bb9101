"""The base class of the models that consist of an encoder and a head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

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
