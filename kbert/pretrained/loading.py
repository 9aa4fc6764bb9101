"""Keras models from model folders, with the head that config.json says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras

from kbert.errors import BundleError, shown
from kbert.files import PathLike
from kbert.model_folder.architectures import ARCHITECTURES, CRF_TENSOR, check_architecture, fitting_architecture
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.hub import resolve
from kbert.models import tensor_names
from kbert.models.classification import ClassificationModel
from kbert.models.encoder import BertEncoder
from kbert.models.masked_language_model import MaskedLanguageModel
from kbert.models.multiple_choice import MultipleChoiceModel
from kbert.models.pretraining import PretrainingModel
from kbert.models.question_answering import QuestionAnsweringModel
from kbert.models.token_classification import TokenClassificationModel

# For each architecture: a function from an encoder and the number of classes to a model, and one to its tensors.
_MODELS: Mapping[str, tuple[Callable[[BertEncoder, int], Any], Callable[[Any], tensor_names.TensorBindings]]] = {
    "BertModel": (lambda encoder, _: encoder, tensor_names.encoder_bindings),
    "BertForPreTraining": (lambda encoder, _: PretrainingModel(encoder), tensor_names.pretraining_bindings),
    "BertForMaskedLM": (
        lambda encoder, _: MaskedLanguageModel(encoder),
        tensor_names.masked_language_model_bindings,
    ),
    "BertForSequenceClassification": (ClassificationModel, tensor_names.classifier_bindings),
    "BertForTokenClassification": (TokenClassificationModel, tensor_names.tagger_bindings),
    "BertForQuestionAnswering": (
        lambda encoder, _: QuestionAnsweringModel(encoder),
        tensor_names.question_answering_bindings,
    ),
    "BertForMultipleChoice": (lambda encoder, _: MultipleChoiceModel(encoder), tensor_names.classifier_bindings),
}


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
    """Builds the model that a bundle's weights fit, with fresh weights, and gives its bindings too.

    Raises:
        BundleError: The weights do not fit the architecture, or kbert has no such architecture.
    """
    name, classes = check_loadable(bundle)
    pooled = ARCHITECTURES[name].pooler
    if name == "BertModel":
        pooled = "bert.pooler.dense.weight" in bundle.tensors
    build, bindings = _MODELS[name]
    encoder = BertEncoder(bundle.config, pooled=pooled, precision=precision)
    if name == "BertForTokenClassification" and CRF_TENSOR in bundle.tensors:
        model: keras.Model = TokenClassificationModel(encoder, classes, crf=True)
    else:
        model = build(encoder, classes)
    return model, bindings(model)


def check_loadable(bundle: Bundle) -> tuple[str, int]:
    """Gives the architecture and the number of classes that a bundle's weights fit, before anything is built.

    Raises:
        BundleError: The weights do not fit the architecture, or kbert has no such architecture.
    """
    name = fitting_architecture(bundle.architecture, frozenset(bundle.tensors))
    if name not in ARCHITECTURES:
        raise BundleError(
            f"config.json names the architecture {shown(name)}; kbert has {', '.join(ARCHITECTURES)}. "
            "`kbert finetune` takes the encoder of any BERT"
        )
    classes = len(bundle.labels)
    check_architecture(bundle.shapes, bundle.config, name, classes)
    return name, classes
