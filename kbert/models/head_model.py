"""What all models share that are an encoder with a head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from kbert.errors import UsageError
from kbert.layers.layer import dtype_policy, serialized
from kbert.models.encoder import BertEncoder
from kbert.models.preset_model import PresetModel


class HeadModel(PresetModel, keras.Model):
    """An encoder with a head.

    Args:
        encoder: The encoder; its randomness is shared. Or one serialized.
        dtype: The encoder's dtype policy, which the head follows; None is as good.

    Raises:
        UsageError: The policy is another one than the encoder's.
    """

    encoder: BertEncoder

    def __init__(self, encoder: BertEncoder | Mapping[str, Any], *, dtype: Any = None, **kwargs: Any) -> None:
        if not isinstance(encoder, BertEncoder):
            encoder = keras.saving.deserialize_keras_object(dict(encoder))
        assert isinstance(encoder, BertEncoder)
        policy = encoder.dtype_policy
        if dtype is not None and dtype_policy(dtype) != policy:
            raise UsageError(
                f"a head has its encoder's dtype policy, {policy.name}; give dtype to the encoder. "
                f"Received: dtype={dtype_policy(dtype).name!r}"
            )
        super().__init__(dtype=policy, **kwargs)
        self.encoder = encoder

    def get_config(self) -> dict[str, Any]:
        """The arguments, as plain data."""
        return {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "encoder": serialized(self.encoder),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """Makes the model anew from what `get_config` gave, with fresh weights of the same seed."""
        return cls(**config)
