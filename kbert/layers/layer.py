"""The base class of kbert's layers: it checks dtype policies, and keeps configurations as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from kbert.config import BertConfig
from kbert.errors import UsageError, shown

_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
"""The dtype policy of each precision."""


def dtype_policy(dtype: Any = None, precision: str | None = None) -> keras.DTypePolicy:
    """Returns the Keras dtype policy that `dtype` or its shorthand `precision` names.

    The default is the global policy of Keras. Variables, LayerNorm, softmax and outputs are float32 under each of the
    three policies. The policy only sets the dtype in which matrix products are computed.

    Args:
        dtype: "float32", "mixed_bfloat16" or "mixed_float16", as a name, a `keras.DTypePolicy` or its serialized form.
        precision: The dtype of matrix products: "float32", "bfloat16" or "float16".

    Raises:
        UsageError: The policy is not one of these three, or `dtype` and `precision` contradict each other.
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
    """A mix-in for Keras layers and models whose dtype policy is fixed by the constructor.

    It must come before the Keras class in the list of base classes.
    """

    _dtype_policy: Any

    @property
    def input_dtype(self) -> str:
        """The dtype of floating-point inputs: float32, since only matrix products have a lower precision."""
        return "float32"

    @property
    def dtype_policy(self) -> Any:
        """The dtype policy. The constructor sets it; setting a different policy later raises UsageError."""
        return self._dtype_policy

    @dtype_policy.setter
    def dtype_policy(self, value: Any) -> None:
        # The sublayers were already created with the old policy.
        if dtype_policy(value) != self._dtype_policy:
            raise UsageError(
                f"the dtype policy of a {type(self).__name__} is fixed when it is made; give dtype to the constructor. "
                f"Received: {dtype_policy(value).name} after {self._dtype_policy.name}"
            )


class BertLayer(FixedDtypePolicy, keras.layers.Layer):
    """A Keras layer with float32 variables and outputs. Its dtype policy only sets the dtype of matrix products.

    Args:
        precision: The precision of matrix products: "float32", "bfloat16" or "float16". A shorthand for `dtype`.
        dtype: "float32", "mixed_bfloat16" or "mixed_float16"; None means the global policy of Keras.

    Raises:
        UsageError: The dtype policy is not one of these three.
    """

    float32_only = False
    """Whether the layer computes in float32 regardless of the policy that it is given."""

    def __init__(self, *, precision: str | None = None, dtype: Any = None, **kwargs: Any) -> None:
        policy = dtype_policy(dtype, precision)
        super().__init__(dtype="float32" if self.float32_only else policy, **kwargs)

    @property
    def precision(self) -> str:
        """The dtype of matrix products."""
        return str(self.compute_dtype)

    def add_weight(self, *args: Any, **kwargs: Any) -> Any:
        """Adds a float32 variable. Keras does not cast it when the layer reads it."""
        return super().add_weight(*args, **{"dtype": "float32", "autocast": False, **kwargs})

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Returns symbolic float32 outputs with the shapes of `compute_output_shape`."""
        spec = super().compute_output_spec(*args, **kwargs)
        return keras.tree.map_structure(lambda tensor: keras.KerasTensor(tensor.shape, "float32"), spec)

    def get_build_config(self) -> dict[str, Any] | None:
        """Returns the shape of the first input, from which a loaded layer creates its variables."""
        shapes = self._build_shapes_dict
        return {"input_shape": next(iter(shapes.values()))} if shapes else None

    def get_config(self) -> dict[str, Any]:
        """Returns the name, `trainable` and the dtype policy as plain data."""
        return super().get_config()

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Creates a new layer from the result of `get_config`, with fresh weights drawn with the same seed."""
        return cls(**config)


# === Plain data ===


def as_config(value: BertConfig | Mapping[str, Any]) -> BertConfig:
    """Returns the configuration as a `BertConfig`, given a `BertConfig` or its dict."""
    return value if isinstance(value, BertConfig) else BertConfig.from_dict(value)


def as_generator(value: Any) -> Any:
    """Returns a `keras.random.SeedGenerator`, given a generator, its serialized form, or an integer seed."""
    if isinstance(value, keras.random.SeedGenerator):
        return value
    if isinstance(value, Mapping):
        return keras.saving.deserialize_keras_object(dict(value))
    return keras.random.SeedGenerator(value, name="seed_generator")


def serialized(value: Any) -> Any:
    """Returns a generator, an initializer or a model as plain data.

    Objects that layers share are shared again after loading.
    """
    return keras.saving.serialize_keras_object(value)
