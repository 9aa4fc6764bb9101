"""Loads model folders as Keras models, with the head that config.json names."""

from __future__ import annotations

import keras

from kbert.files import PathLike
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.hub import resolve
from kbert.models import building, tensor_names


def load_model(source: PathLike | Bundle, *, precision: str | None = None) -> keras.Model:
    """Loads a BERT model of any library as a Keras model: the encoder with the head that config.json names.

    Args:
        source: A model folder, a model of the Hugging Face Hub as "hf://owner/name", or a `kbert.Bundle`.
        precision: The precision of matrix products: "float32", "bfloat16" or "float16"; None means the global
            dtype policy of Keras.

    Returns:
        A `BertEncoder`, `PretrainingModel`, `MaskedLanguageModel`, `ClassificationModel`, `TokenClassificationModel`,
        `QuestionAnsweringModel` or `MultipleChoiceModel`.

    Example:
        >>> model = kbert.load_model("RUN")
        >>> type(model).__name__
        'ClassificationModel'

    Raises:
        BundleError: Tensors are missing or unexpected, their shapes contradict config.json, or kbert does not support
            the architecture.
    """
    bundle = source if isinstance(source, Bundle) else Bundle.load(resolve(source))
    model, bindings = build_model(bundle, precision=precision)
    tensor_names.assign_tensors(bindings, bundle.tensors)
    return model


def build_model(bundle: Bundle, *, precision: str | None = None) -> tuple[keras.Model, tensor_names.TensorBindings]:
    """Builds the model for the weights of a bundle, with fresh weights, and returns it with the names of its tensors.

    Raises:
        BundleError: The weights do not fit the architecture, or kbert does not support it.
    """
    return building.build_model(
        bundle.architecture, bundle.config, bundle.shapes, len(bundle.labels), precision=precision
    )


def check_loadable(bundle: Bundle) -> tuple[str, int]:
    """Returns the architecture and the number of classes of a bundle's weights, before anything is built.

    Raises:
        BundleError: The weights do not fit the architecture, or kbert does not support it.
    """
    classes = len(bundle.labels)
    return building.check_model(bundle.architecture, bundle.config, bundle.shapes, classes), classes
