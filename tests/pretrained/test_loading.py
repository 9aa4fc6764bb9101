import json

import numpy as np
import pytest

from kbert.errors import BundleError
from kbert.model_folder.architectures import ARCHITECTURES
from kbert.model_folder.bundle import Bundle
from kbert.models.tensor_names import assign_tensors, read_tensors
from kbert.pretrained.loading import build_model, load_model
from kbert.text.tokenizer import Tokenizer

MODELS = {
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


@pytest.fixture
def bundle_of(vocabulary, small_config):
    def make(architecture, classes=3, **foreign_config):
        rng = np.random.default_rng(0)
        tensors = {
            name: rng.normal(0, 0.2, shape).astype(np.float32)
            for name, shape in ARCHITECTURES[architecture].tensors(small_config, classes)
        }
        labels = {"id2label": {str(index): f"L{index}" for index in range(classes)}} | foreign_config
        return Bundle(small_config, Tokenizer(vocabulary), tensors, architecture, foreign_config=labels)

    return make


def test_there_is_a_model_for_each_architecture():
    assert MODELS.keys() == ARCHITECTURES.keys()


@pytest.mark.parametrize("architecture", MODELS)
def test_every_tensor_comes_back(bundle_of, tmp_path, architecture):
    bundle = bundle_of(architecture)
    bundle.save(tmp_path, "card")
    model = load_model(tmp_path)
    assert type(model).__name__ == MODELS[architecture]
    fresh, bindings = build_model(bundle)
    assign_tensors(bindings, bundle.tensors)
    read = read_tensors(bindings)
    assert read.keys() == bundle.tensors.keys()
    for name, tensor in bundle.tensors.items():
        assert read[name].tobytes() == tensor.tobytes(), name
    assert model.count_params() == fresh.count_params()
    for ours, theirs in zip(model.trainable_variables, fresh.trainable_variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_tagger_with_a_crf(bundle_of):
    bundle = bundle_of("BertForTokenClassification")
    crf = {"crf.start_transitions": (3,), "crf.end_transitions": (3,), "crf.transitions": (3, 3)}
    tables = {name: np.full(shape, 0.5, np.float32) for name, shape in crf.items()}
    bundle.tensors.update(tables)
    model = load_model(bundle)
    np.testing.assert_array_equal(model.crf.tables["transitions"], tables["crf.transitions"])
    del bundle.tensors["crf.end_transitions"]
    with pytest.raises(
        BundleError, match=r"expected the tensor crf\.end_transitions of shape \[3\]\. Received: weights without it$"
    ):
        load_model(bundle)


def test_a_bare_encoder_is_stored_as_transformers_stores_it(bundle_of, tmp_path):
    import safetensors.numpy

    bundle_of("BertModel").save(tmp_path, "card")
    assert "embeddings.LayerNorm.weight" in safetensors.numpy.load_file(tmp_path / "model.safetensors")


def test_an_encoder_without_pooler(bundle_of):
    bundle = bundle_of("BertModel")
    bundle.tensors = {name: tensor for name, tensor in bundle.tensors.items() if "pooler" not in name}
    assert load_model(bundle).pooler is None


def test_half_precision_weights_become_float32(bundle_of):
    bundle = bundle_of("BertModel")
    name = "bert.pooler.dense.bias"
    bundle.tensors = {name: tensor.astype(np.float16) for name, tensor in bundle.tensors.items()}
    bias = load_model(bundle).pooler.dense.bias
    assert bias.dtype == "float32"
    np.testing.assert_array_equal(bias, bundle.tensors[name].astype(np.float32))


def test_weights_without_a_named_architecture(bundle_of, tmp_path):
    bundle_of("BertForQuestionAnswering").save(tmp_path, "card")
    config = json.loads((tmp_path / "config.json").read_text())
    del config["architectures"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert type(load_model(tmp_path)).__name__ == "QuestionAnsweringModel"


def test_a_masked_language_model_that_is_a_pretraining_model(bundle_of):
    bundle = bundle_of("BertForPreTraining")
    bundle.architecture = "BertForMaskedLM"
    assert type(load_model(bundle)).__name__ == "PretrainingModel"


def test_refusals(bundle_of):
    bundle = bundle_of("BertForSequenceClassification")
    bundle.tensors["classifier.extra"] = np.zeros(3, np.float32)
    with pytest.raises(
        BundleError, match=r"^the tensor 'classifier\.extra' is not part of a BertForSequenceClassification"
    ):
        load_model(bundle)
    bundle = bundle_of("BertForTokenClassification")
    bundle.foreign_config["id2label"]["3"] = "more"
    with pytest.raises(
        BundleError, match=r"classifier\.weight must have the shape \[4, 32\], which config\.json requires"
    ):
        load_model(bundle)
    bundle.architecture = "BertLMHeadModel"
    with pytest.raises(BundleError, match=r"config\.json names the architecture 'BertLMHeadModel'; kbert has BertMo"):
        load_model(bundle)


@pytest.mark.parametrize(
    "names", [{}, {"0": "a", "2": "b"}, {"0": None}, [], "ab", {"a": "b"}, {"0": "a", "00": "b"}, {"1": "a"}]
)
def test_labels_that_cannot_be(bundle_of, names):
    with pytest.raises(BundleError, match=r"^config\.json: expected id2label to be an object"):
        load_model(bundle_of("BertForTokenClassification", id2label=names))


@pytest.mark.parametrize("count", [0, -1, 10**12, "3", True, None])
def test_a_number_of_labels_that_cannot_be(bundle_of, count):
    with pytest.raises(BundleError, match=r"^config\.json: expected num_labels from 1 to 1000000\. Received: "):
        load_model(bundle_of("BertForTokenClassification", id2label=None, num_labels=count))


def test_labels_are_two_without_names_by_default(bundle_of):
    bundle = bundle_of("BertForTokenClassification", classes=2, id2label=None)
    assert bundle.labels == ["LABEL_0", "LABEL_1"]
    assert load_model(bundle).head.dense.units == 2
