"""Builds the Keras model of an architecture, such as "BertForMaskedLM", with the names of its tensors.

`kbert.load_model` builds its models here. The parity check of a conversion uses the same function, so that it runs the
models that users get.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras

from kbert.config import BertConfig
from kbert.errors import BundleError, shown
from kbert.model_folder.architectures import ARCHITECTURES, check_architecture, fitting_architecture
from kbert.model_folder.parts import CRF_TENSOR, SENSES_TENSOR, Shape, has_pooler
from kbert.models.encoder import BertEncoder
from kbert.models.kinds import kind_of_architecture
from kbert.models.tensor_names import TensorBindings


def check_model(architecture: str, config: BertConfig, shapes: Mapping[str, Shape], classes: int) -> str:
    """Checks, before anything is built, that kbert has a model for tensors of these shapes.

    Args:
        architecture: The architecture that config.json names.
        config: The configuration of the model.
        shapes: The shape of each tensor, by the names of Transformers.
        classes: The number of classes that config.json names.

    Returns:
        The name of the architecture that uses the most of these tensors.

    Raises:
        BundleError: The weights do not fit the architecture, or kbert does not support it.
    """
    name = fitting_architecture(architecture, frozenset(shapes))
    if name not in ARCHITECTURES:
        raise BundleError(
            f"config.json names the architecture {shown(name)}; kbert has {', '.join(ARCHITECTURES)}. "
            "`kbert finetune` takes the encoder of any BERT"
        )
    check_architecture(shapes, config, name, classes)
    return name


def build_model(
    architecture: str,
    config: BertConfig,
    shapes: Mapping[str, Shape],
    classes: int,
    *,
    pooled: bool = False,
    precision: str | None = None,
) -> tuple[keras.Model, TensorBindings]:
    """Builds the model of an architecture with fresh weights, and returns it with the names of its tensors.

    Args:
        architecture: The architecture that config.json names.
        config: The configuration of the model.
        shapes: The shape of each tensor, by the names of Transformers.
        classes: The number of classes that config.json names.
        pooled: Whether the encoder gets a pooler even if the architecture does not use it.
        precision: The precision of matrix products; see `kbert.load_model`.

    Returns:
        The model, and the variable of each of its tensors.

    Raises:
        BundleError: The weights do not fit the architecture, or kbert does not support it.
    """
    name = check_model(architecture, config, shapes, classes)
    kind = kind_of_architecture(name)
    pooled |= has_pooler(shapes) if name == "BertModel" else kind.pooled
    encoder = BertEncoder(config, pooled=pooled, precision=precision)
    senses = shapes[SENSES_TENSOR][0] if SENSES_TENSOR in shapes else 0
    model = kind.build(encoder, classes=classes, crf=CRF_TENSOR in shapes, senses=senses)
    return model, kind.bindings(model)
