import pytest

from kbert.model_folder.architectures import ARCHITECTURES
from kbert.models.classification import ClassificationModel
from kbert.models.embedding import EmbeddingModel
from kbert.models.encoder import BertEncoder
from kbert.models.kinds import KINDS, kind_of_architecture, kind_of_class
from kbert.models.ranking import RankingModel


def test_each_architecture_has_one_model():
    found = {name: kind_of_architecture(name).model_class.__name__ for name in ARCHITECTURES}
    assert found == {
        "BertModel": "BertEncoder",
        "BertForPreTraining": "PretrainingModel",
        "BertForMaskedLM": "MaskedLanguageModel",
        "BertForNextSentencePrediction": "ClassificationModel",
        "BertForSequenceClassification": "ClassificationModel",
        "BertForTokenClassification": "TokenClassificationModel",
        "BertForQuestionAnswering": "QuestionAnsweringModel",
        "BertForMultipleChoice": "MultipleChoiceModel",
        "BertForRelations": "RelationModel",
        "BertForSemanticRoles": "SemanticRolesModel",
    }
    with pytest.raises(KeyError, match="BertLMHeadModel"):
        kind_of_architecture("BertLMHeadModel")


def test_the_pooler_is_that_of_the_architecture():
    for kind in KINDS:
        if kind.model_class is not EmbeddingModel:  # it pools by itself
            assert kind.pooled == ARCHITECTURES[kind.architecture].pooler, kind


def test_classes_have_the_form_in_which_they_are_saved():
    class Derived(RankingModel):
        pass

    assert kind_of_class(Derived).labels == ("score",)
    assert kind_of_class(ClassificationModel).architecture == "BertForSequenceClassification"
    with pytest.raises(KeyError, match="int"):
        kind_of_class(int)


def test_options_follow_from_the_weights(small_config):
    encoder = BertEncoder(small_config)
    assert kind_of_architecture("BertModel").build(encoder, classes=5, crf=True) is encoder
    build = {
        name: kind_of_architecture(f"BertFor{name}").build for name in ("TokenClassification", "QuestionAnswering")
    }
    tagger = build["TokenClassification"](encoder, classes=5, crf=True)
    assert (tagger.head.dense.units, tagger.crf is not None) == (5, True)
    assert build["QuestionAnswering"](encoder, classes=5, crf=True).encoder is encoder
    two = kind_of_architecture("BertForNextSentencePrediction").build(encoder, classes=5, crf=True)
    assert two.head.dense.units == 2
