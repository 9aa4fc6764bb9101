"""The public Keras models. Importing this module enables `from_preset` and `save_to_preset`."""

from __future__ import annotations

from kbert.models.classification import ClassificationModel
from kbert.models.embedding import EmbeddingModel
from kbert.models.encoder import BertEncoder
from kbert.models.masked_language_model import MaskedLanguageModel
from kbert.models.multiple_choice import MultipleChoiceModel
from kbert.models.preset_model import register_model_folders
from kbert.models.pretraining import PretrainingModel
from kbert.models.question_answering import QuestionAnsweringModel
from kbert.models.ranking import RankingModel
from kbert.models.regression import RegressionModel
from kbert.models.token_classification import TokenClassificationModel
from kbert.pretrained import presets

__all__ = [
    "BertEncoder",
    "ClassificationModel",
    "EmbeddingModel",
    "MaskedLanguageModel",
    "MultipleChoiceModel",
    "PretrainingModel",
    "QuestionAnsweringModel",
    "RankingModel",
    "RegressionModel",
    "TokenClassificationModel",
]

register_model_folders(presets)
