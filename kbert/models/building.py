"""Builds the Keras model of an architecture, such as "BertForMaskedLM", with the names of its tensors.

`kbert.load_model` builds its models here. The parity check of a conversion uses the same function, so that it runs the
models that users get.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras

from kbert.config import BertConfig
from kbert.errors import BundleError, shown
from kbert.model_folder.architectures import ARCHITECTURES, check_architecture, fitting_architecture
from kbert.model_folder.parts import CRF_TENSOR, Shape, has_pooler
from kbert.models import tensor_names
from kbert.models.classification import ClassificationModel
from kbert.models.encoder import BertEncoder
from kbert.models.masked_language_model import MaskedLanguageModel
from kbert.models.multiple_choice import MultipleChoiceModel
from kbert.models.pretraining import PretrainingModel
from kbert.models.question_answering import QuestionAnsweringModel
from kbert.models.token_classification import TokenClassificationModel

# For each architecture two functions: from an encoder, the number of classes and whether the model has a CRF to the
# model, and from the model to the bindings of its tensors.
_MODELS: Mapping[str, tuple[Callable[[BertEncoder, int, bool], Any], Callable[[Any], tensor_names.TensorBindings]]] = {
    "BertModel": (lambda encoder, _, __: encoder, tensor_names.encoder_bindings),
    "BertForPreTraining": (lambda encoder, _, __: PretrainingModel(encoder), tensor_names.pretraining_bindings),
    "BertForMaskedLM": (
        lambda encoder, _, __: MaskedLanguageModel(encoder),
        tensor_names.masked_language_model_bindings,
    ),
    "BertForNextSentencePrediction": (
        lambda encoder, _, __: ClassificationModel(encoder, 2),
        tensor_names.next_sentence_bindings,
    ),
    "BertForSequenceClassification": (
        lambda encoder, classes, _: ClassificationModel(encoder, classes),
        tensor_names.classifier_bindings,
    ),
    "BertForTokenClassification": (
        lambda encoder, classes, crf: TokenClassificationModel(encoder, classes, crf=crf),
        tensor_names.tagger_bindings,
    ),
    "BertForQuestionAnswering": (
        lambda encoder, _, __: QuestionAnsweringModel(encoder),
        tensor_names.question_answering_bindings,
    ),
    "BertForMultipleChoice": (lambda encoder, _, __: MultipleChoiceModel(encoder), tensor_names.classifier_bindings),
}


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
) -> tuple[keras.Model, tensor_names.TensorBindings]:
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
    pooled |= has_pooler(shapes) if name == "BertModel" else ARCHITECTURES[name].pooler
    build, bindings = _MODELS[name]
    model = build(BertEncoder(config, pooled=pooled, precision=precision), classes, CRF_TENSOR in shapes)
    return model, bindings(model)
