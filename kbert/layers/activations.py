"""Activations by the names that checkpoints use."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from keras import ops

_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "gelu": functools.partial(ops.gelu, approximate=False),
    "gelu_new": functools.partial(ops.gelu, approximate=True),
    "gelu_pytorch_tanh": functools.partial(ops.gelu, approximate=True),
    "gelu_fast": functools.partial(ops.gelu, approximate=True),
    "relu": ops.relu,
}


def activation(name: str) -> Callable[[Any], Any]:
    """The activation that `BertConfig.hidden_act` names."""
    return _ACTIVATIONS[name]
