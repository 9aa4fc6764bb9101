"""The activation of cross-encoders, which the files of sentence-transformers or config.json name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kbert.errors import shown
from kbert.model_folder.sentence_transformers import CROSS_ENCODER, SentenceModules

_ACTIVATION_KEY = "sbert_ce_default_activation_function"
_ACTIVATIONS = {"identity": "torch.nn.modules.linear.Identity", "sigmoid": "torch.nn.modules.activation.Sigmoid"}


def named_activation(foreign_config: Mapping[str, Any], modules: SentenceModules | None) -> tuple[bool, str | None]:
    """Returns whether the files declare a cross-encoder, and the dotted name of its activation, or None.

    Args:
        foreign_config: The keys of config.json that are not fields of `BertConfig`.
        modules: The contents of the files of sentence-transformers, or None.
    """
    if modules is not None and modules.kind == CROSS_ENCODER:
        return True, modules.activation
    values = foreign_config.get("sentence_transformers")
    if isinstance(values, Mapping):
        name = values.get("activation_fn")
        return True, name if isinstance(name, str) else None
    if _ACTIVATION_KEY in foreign_config:
        name = foreign_config[_ACTIVATION_KEY]
        return True, name if isinstance(name, str) else None
    return False, None


def known_activation(name: str | None) -> str:
    """Returns the activation with a dotted name: "identity", or "sigmoid", which is also the library's default.

    Args:
        name: The dotted name, such as "torch.nn.modules.linear.Identity"; None means the default.

    Raises:
        ValueError: kbert does not support this activation.
    """
    if name is None:
        return "sigmoid"
    for ours, theirs in _ACTIVATIONS.items():
        if name in (theirs, f"torch.nn.{theirs.rpartition('.')[2]}"):
            return ours
    raise ValueError(f"the activation must be torch.nn.Identity or torch.nn.Sigmoid. Received: {shown(name)}")


def activation_name(activation: str) -> str:
    """Returns the dotted name of an activation, which is "identity" or "sigmoid"."""
    return _ACTIVATIONS[activation]
