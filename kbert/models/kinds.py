"""The table of model classes: the form of each in a model folder, and how it is built on an encoder."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from kbert.models import tensor_names
from kbert.models.classification import ClassificationModel
from kbert.models.embedding import EmbeddingModel
from kbert.models.encoder import BertEncoder
from kbert.models.masked_language_model import MaskedLanguageModel
from kbert.models.multiple_choice import MultipleChoiceModel
from kbert.models.pretraining import PretrainingModel
from kbert.models.question_answering import QuestionAnsweringModel
from kbert.models.ranking import RankingModel
from kbert.models.regression import RegressionModel
from kbert.models.relations import RelationModel
from kbert.models.semantic_roles import SemanticRolesModel
from kbert.models.tensor_names import TensorBindings
from kbert.models.token_classification import TokenClassificationModel


@dataclasses.dataclass(frozen=True)
class ModelKind:
    """A class of models, and its form in a model folder.

    Args:
        model_class: The class.
        architecture: The class of Hugging Face Transformers for the same model, which config.json names; or a name that
            Transformers does not have, if only kbert has such a head.
        bindings: Returns the variables of a model under the tensor names of Transformers.
        pooled: Whether the model needs the pooler of its encoder.
        options: The arguments of the constructor that follow from the weights: "classes", "crf" and "senses".
        classes: The number of classes if it is fixed, otherwise None.
        labels: The default names of the classes. An empty tuple stands for LABEL_0, LABEL_1 …; None if the model has
            no classes to name.
    """

    model_class: type
    architecture: str
    bindings: Callable[[Any], TensorBindings]
    pooled: bool
    options: tuple[str, ...] = ()
    classes: int | None = None
    labels: tuple[str, ...] | None = None

    def build(self, encoder: BertEncoder, *, classes: int, crf: bool, senses: int = 0) -> Any:
        """Builds a model with fresh weights of its head.

        Args:
            encoder: The encoder.
            classes: The number of classes, for models that have classes.
            crf: Whether the head has a CRF, for models that can have one.
            senses: The number of senses, for models of semantic roles.
        """
        if self.model_class is BertEncoder:
            return encoder
        given = {"classes": self.classes or classes, "crf": crf, "senses": senses}
        return self.model_class(encoder, **{name: given[name] for name in self.options})


_SEQUENCE = "BertForSequenceClassification"
KINDS = (
    # `load_model` builds the first kind of an architecture; a model of a class is saved as the first kind of the class.
    ModelKind(BertEncoder, "BertModel", tensor_names.encoder_bindings, True),
    ModelKind(PretrainingModel, "BertForPreTraining", tensor_names.pretraining_bindings, True),
    ModelKind(MaskedLanguageModel, "BertForMaskedLM", tensor_names.masked_language_model_bindings, False),
    ModelKind(ClassificationModel, _SEQUENCE, tensor_names.classifier_bindings, True, ("classes",), labels=()),
    ModelKind(
        TokenClassificationModel,
        "BertForTokenClassification",
        tensor_names.tagger_bindings,
        False,
        ("classes", "crf"),
        labels=(),
    ),
    ModelKind(QuestionAnsweringModel, "BertForQuestionAnswering", tensor_names.question_answering_bindings, False),
    ModelKind(MultipleChoiceModel, "BertForMultipleChoice", tensor_names.classifier_bindings, True),
    ModelKind(RelationModel, "BertForRelations", tensor_names.relation_bindings, False, ("classes",), labels=()),
    ModelKind(
        SemanticRolesModel,
        "BertForSemanticRoles",
        tensor_names.semantic_roles_bindings,
        False,
        ("classes", "senses"),
        labels=(),
    ),
    ModelKind(
        ClassificationModel,
        "BertForNextSentencePrediction",
        tensor_names.next_sentence_bindings,
        True,
        ("classes",),
        classes=2,
    ),
    ModelKind(RegressionModel, _SEQUENCE, tensor_names.regression_bindings, True, labels=("LABEL_0",)),
    ModelKind(RankingModel, _SEQUENCE, tensor_names.classifier_bindings, True, labels=("score",)),
    ModelKind(EmbeddingModel, "BertModel", lambda model: tensor_names.encoder_bindings(model.encoder), False),
)


def kind_of_class(model_class: type) -> ModelKind:
    """Returns the kind of a class of models, which may be a subclass of kbert's class.

    Raises:
        KeyError: The class is not derived from a model of kbert.
    """
    for base in model_class.__mro__:
        for kind in KINDS:
            if kind.model_class is base:
                return kind
    raise KeyError(model_class.__name__)


def kind_of_architecture(architecture: str) -> ModelKind:
    """Returns the kind that `kbert.load_model` builds for an architecture.

    Raises:
        KeyError: kbert has no model of this architecture.
    """
    for kind in KINDS:
        if kind.architecture == architecture:
            return kind
    raise KeyError(architecture)
