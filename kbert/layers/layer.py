"""The base of kbert's layers: dtype policies, which are obeyed or refused, and configurations of plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from kbert.config import BertConfig
from kbert.errors import UsageError, shown

_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
"""The dtype policy of each precision."""


def dtype_policy(dtype: Any = None, precision: str | None = None) -> keras.DTypePolicy:
    """The Keras dtype policy that `dtype` or its shorthand `precision` names; the default is Keras's global policy.

    Under each of the three policies variables, LayerNorm, softmax and outputs are float32. The policy says in what
    dtype matrix products are computed.

    Args:
        dtype: "float32", "mixed_bfloat16" or "mixed_float16": a name, a `keras.DTypePolicy`, or its serialized form.
        precision: "float32", "bfloat16" or "float16".

    Raises:
        UsageError: The policy is none of these three, or `dtype` and `precision` contradict each other.
    """
    if precision is not None and precision not in _POLICIES:
        raise UsageError(f"precision must be one of {', '.join(_POLICIES)}. Received: precision={shown(precision)}")
    if dtype is None and precision is not None:
        return keras.DTypePolicy(_POLICIES[precision])
    try:
        policy = keras.dtype_policies.get(dtype)
    except (ValueError, TypeError):
        policy = None
    name = getattr(policy, "name", None)
    if name not in _POLICIES.values() or type(policy) is not keras.DTypePolicy:
        received = f"the global policy {shown(name)}" if dtype is None else f"dtype={shown(name or dtype)}"
        raise UsageError(
            "kbert keeps variables in float32, so the dtype policy must be one of "
            f"{', '.join(_POLICIES.values())}. Received: {received}"
        )
    if precision is not None and _POLICIES[precision] != name:
        raise UsageError(
            f"dtype and precision must agree; leave one out. Received: dtype={name!r}, precision={precision!r}"
        )
    return policy


class FixedDtypePolicy:
    """A Keras layer or model whose dtype policy is fixed when it is made; a base to put before Keras's own."""

    _dtype_policy: Any

    @property
    def input_dtype(self) -> str:
        """The dtype of floating-point inputs: float32, since only matrix products have a lower precision."""
        return "float32"

    @property
    def dtype_policy(self) -> Any:
        """The dtype policy. It is given to the constructor; a different one later raises UsageError."""
        return self._dtype_policy

    @dtype_policy.setter
    def dtype_policy(self, value: Any) -> None:
        # Sublayers were made with the old policy.
        if dtype_policy(value) != self._dtype_policy:
            raise UsageError(
                f"the dtype policy of a {type(self).__name__} is fixed when it is made; give dtype to the constructor. "
                f"Received: {dtype_policy(value).name} after {self._dtype_policy.name}"
            )


class BertLayer(FixedDtypePolicy, keras.layers.Layer):
    """A layer with variables and outputs in float32, whatever its dtype policy; products are in the compute dtype.

    Args:
        precision: "float32", "bfloat16" or "float16": a shorthand for `dtype`.
        dtype: "float32", "mixed_bfloat16" or "mixed_float16"; None is Keras's global policy.

    Raises:
        UsageError: The dtype policy is none of these three.
    """

    float32_only = False
    """Whether the layer has the policy float32 under every policy that it is given."""

    def __init__(self, *, precision: str | None = None, dtype: Any = None, **kwargs: Any) -> None:
        policy = dtype_policy(dtype, precision)
        super().__init__(dtype="float32" if self.float32_only else policy, **kwargs)

    @property
    def precision(self) -> str:
        """The dtype of matrix products."""
        return str(self.compute_dtype)

    def add_weight(self, *args: Any, **kwargs: Any) -> Any:
        """A float32 variable that Keras does not cast when a layer reads it."""
        return super().add_weight(*args, **{"dtype": "float32", "autocast": False, **kwargs})

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """The outputs, float32, with the shapes of `compute_output_shape`."""
        spec = super().compute_output_spec(*args, **kwargs)
        return keras.tree.map_structure(lambda tensor: keras.KerasTensor(tensor.shape, "float32"), spec)

    def get_build_config(self) -> dict[str, Any] | None:
        """The shape of the first input, from which a layer makes its variables when it is loaded."""
        shapes = self._build_shapes_dict
        return {"input_shape": next(iter(shapes.values()))} if shapes else None

    def get_config(self) -> dict[str, Any]:
        """Returns the name, `trainable` and the dtype policy as plain data."""
        return super().get_config()

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Makes a new layer from the result of `get_config`, with fresh weights of the same seed."""
        return cls(**config)


# === Plain data ===


def as_config(value: BertConfig | Mapping[str, Any]) -> BertConfig:
    """A `BertConfig` from itself or from its dict."""
    return value if isinstance(value, BertConfig) else BertConfig.from_dict(value)


def as_generator(value: Any) -> Any:
    """A `keras.random.SeedGenerator` from itself, from an int seed, or from its serialized form."""
    if isinstance(value, keras.random.SeedGenerator):
        return value
    if isinstance(value, Mapping):
        return keras.saving.deserialize_keras_object(dict(value))
    return keras.random.SeedGenerator(value, name="seed_generator")


def serialized(value: Any) -> Any:
    """A generator, an initializer or a model as plain data. Objects that layers share are shared again when read."""
    return keras.saving.serialize_keras_object(value)
