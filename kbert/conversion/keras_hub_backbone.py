"""Converts kbert's encoder to KerasHub's BertBackbone and back, in memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from kbert.config import BertConfig
from kbert.conversion import keras_hub_objects
from kbert.conversion.keras_hub import DROPOUTS, EPSILON, backbone_entries, check_config
from kbert.errors import ConfigError, UsageError
from kbert.models.encoder import BertEncoder
from kbert.models.tensor_names import assign_tensors, encoder_bindings, read_tensors


def encoder_from_backbone(kind: type[BertEncoder], backbone: Any, **options: Any) -> BertEncoder:
    """Returns an encoder with the weights of a backbone.

    Args:
        kind: The class of the encoder: `BertEncoder` or a subclass.
        backbone: A `keras_hub.models.BertBackbone`.
        options: The options of `BertEncoder`.

    Raises:
        UsageError: The backbone is not a `BertBackbone`.
    """
    if type(backbone).__name__ != "BertBackbone" or not hasattr(backbone, "transformer_layers"):
        raise UsageError(f"expected a keras_hub.models.BertBackbone. Received: {type(backbone).__name__}")
    values = backbone.get_config()
    config = BertConfig(
        **{ours: values[theirs] for theirs, ours in keras_hub_objects.SIZES.items()},
        **dict.fromkeys(DROPOUTS, values["dropout"]),
        hidden_act="gelu_new",
        layer_norm_eps=EPSILON,
    )
    encoder = kind(config, **options)
    bindings = encoder_bindings(encoder)
    tensors = {
        entry.name: entry.to_bundle(np.asarray(_variable(backbone, entry.foreign)))
        for entry in backbone_entries(config)
        if entry.name in bindings
    }
    assign_tensors(bindings, tensors)
    return encoder


def backbone_from_encoder(encoder: BertEncoder) -> Any:
    """Returns a `keras_hub.models.BertBackbone` with the weights and the dtype policy of an encoder.

    Raises:
        UsageError: The encoder has no pooler, which a backbone requires, or keras-hub is not installed.
        ConfigError: KerasHub's BERT does not support such a model.
    """
    try:
        import keras_hub
    except ImportError:
        raise UsageError("to_keras_hub needs keras-hub; `pip install keras-nlp` installs it") from None
    config = encoder.config
    check_config(config, "hidden_act='gelu_new' gives the encoder this form, and changes its answers slightly")
    if encoder.pooler is None:
        raise UsageError(
            "KerasHub's backbone must have a pooler; make the encoder with pooled=True. "
            "Received: an encoder without one"
        )
    if config.hidden_dropout_prob != config.attention_probs_dropout_prob:
        raise ConfigError(
            "KerasHub has one dropout rate for both places; set both rates to the same value. Received: "
            f"hidden_dropout_prob={config.hidden_dropout_prob:g}, "
            f"attention_probs_dropout_prob={config.attention_probs_dropout_prob:g}"
        )
    sizes = {theirs: getattr(config, ours) for theirs, ours in keras_hub_objects.SIZES.items()}
    backbone = keras_hub.models.BertBackbone(**sizes, dropout=config.hidden_dropout_prob, dtype=encoder.dtype_policy)
    tensors = read_tensors(encoder_bindings(encoder))
    for entry in backbone_entries(config):
        _variable(backbone, entry.foreign).assign(entry.to_foreign(tensors[entry.name]))
    return backbone


def _variable(backbone: Any, path: str) -> Any:
    """Returns the variable of a backbone at a path of KerasHub's weight files, such as "pooled_dense/vars/0"."""
    layer, *inner, _, index = path.split("/")
    found = backbone.get_layer(layer)
    for name in inner:
        # Layers inside a layer are attributes; the leading underscore that some have is not part of the path.
        found = getattr(found, name) if hasattr(found, name) else getattr(found, f"_{name}")
    return found.weights[int(index)]
