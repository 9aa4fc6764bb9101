"""Keras models from model folders, with the head that config.json says."""

from __future__ import annotations

import keras

from kbert.files import PathLike
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.hub import resolve
from kbert.models import building, tensor_names


def load_model(source: PathLike | Bundle, *, precision: str | None = None) -> keras.Model:
    """Loads a BERT of any library as a Keras model: the encoder, with the head that its config.json names.

    Args:
        source: A model folder, "hf://owner/name" of the Hugging Face Hub, or a bundle.
        precision: The precision of matrix products: "float32", "bfloat16" or "float16"; None follows Keras's global
            dtype policy.

    Returns:
        A `BertEncoder`, `PretrainingModel`, `MaskedLanguageModel`, `ClassificationModel`, `TokenClassificationModel`,
        `QuestionAnsweringModel` or `MultipleChoiceModel`.

    Example:
        >>> model = kbert.load_model("RUN")
        >>> model.encoder.config.hidden_size
        128

    Raises:
        BundleError: Tensors are missing, unexpected or of another shape than config.json says, or kbert has no such
            architecture.
    """
    bundle = source if isinstance(source, Bundle) else Bundle.load(resolve(source))
    model, bindings = build_model(bundle, precision=precision)
    tensor_names.assign_tensors(bindings, bundle.tensors)
    return model


def build_model(bundle: Bundle, *, precision: str | None = None) -> tuple[keras.Model, tensor_names.TensorBindings]:
    """Builds the model that a bundle's weights fit, with fresh weights, and gives the names of its tensors too.

    Raises:
        BundleError: The weights do not fit the architecture, or kbert has no such architecture.
    """
    return building.build_model(
        bundle.architecture, bundle.config, bundle.shapes, len(bundle.labels), precision=precision
    )


def check_loadable(bundle: Bundle) -> tuple[str, int]:
    """Gives the architecture and the number of classes that a bundle's weights fit, before anything is built.

    Raises:
        BundleError: The weights do not fit the architecture, or kbert has no such architecture.
    """
    classes = len(bundle.labels)
    return building.check_model(bundle.architecture, bundle.config, bundle.shapes, classes), classes
