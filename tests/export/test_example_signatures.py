import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from kbert.export.example_signatures import example_signatures, examples
from kbert.export.saved_model import export_saved_model
from kbert.prediction.loading import load
from kbert.tasks.multilabel import MultilabelTask
from kbert.tasks.multiple_choice import MultipleChoiceTask
from kbert.tasks.ranking import RankingTask
from kbert.tasks.regression import RegressionTask

TEXTS = ["the cat sat", "", "Ünaffable dogs 中文 !"]
PAIRS = ["a dog", "fast", ""]


@pytest.fixture(scope="module")
def load_task(tmp_path_factory, make_task_model, small_config):
    """Loads a model of one block for a task."""

    def make(task):
        config = small_config.replace(num_hidden_layers=1)
        return load(make_task_model(tmp_path_factory.mktemp("model"), task, config=config))

    return make


def asked(loaded, **inputs):
    """The answers of each signature over tf.Examples to text inputs, and those of `serving_default`."""
    serialized = tf.constant([example.SerializeToString() for example in examples(inputs)])
    found = {
        name: {key: value.numpy() for key, value in function(inputs=serialized).items()}
        for name, function in example_signatures(loaded.text_model).items()
    }
    answers = loaded.text_model.from_text(*(tf.constant(values) for values in inputs.values()))
    return found, {key: value.numpy() for key, value in answers.items()}


def test_an_example_has_a_feature_for_each_text_input():
    first, second = examples({"query": ["ä", b"\xff\0"], "candidates": [["b", ""], ["", "c"]]})
    assert dict(first.features.feature)["query"].bytes_list.value == ["ä".encode()]
    assert dict(first.features.feature)["candidates"].bytes_list.value == [b"b", b""]
    assert dict(second.features.feature)["query"].bytes_list.value == [b"\xff\0"]
    assert dict(second.features.feature)["candidates"].bytes_list.value == [b"", b"c"]


@pytest.mark.long
def test_classification_of_pairs(pair_classifier):
    loaded = load(pair_classifier)
    found, answers = asked(loaded, text=TEXTS, text_pair=PAIRS)
    assert found.keys() == {"classify"}
    assert found["classify"].keys() == {"classes", "scores"}
    assert found["classify"]["classes"].tolist() == [[b"bad", b"fine", b"good"]] * 3
    np.testing.assert_allclose(found["classify"]["scores"], answers["probabilities"], atol=1e-6)
    assert found["classify"]["scores"].dtype == np.float32
    (function,) = example_signatures(loaded.text_model).values()
    missing = examples({"text": TEXTS})[0].SerializeToString()
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"text_pair .*is required but could not be found"):
        function(inputs=tf.constant([missing]))


@pytest.mark.long
def test_ranking_gives_each_candidate_its_score(load_task):
    candidates = [["the mat", "a", "", "dog"], ["", "fast", "", ""], ["ran", "on", "mat", "sat"]]
    found, answers = asked(load_task(RankingTask()), query=TEXTS, candidates=candidates)
    assert found.keys() == {"classify"}
    assert found["classify"]["classes"].tolist() == [[text.encode() for text in row] for row in candidates]
    np.testing.assert_allclose(found["classify"]["scores"], answers["scores"], atol=1e-6)
    assert found["classify"]["scores"][1].tolist() == [0.0, pytest.approx(answers["scores"][1, 1], abs=1e-6), 0.0, 0.0]


@pytest.mark.long
def test_examples_may_have_different_numbers_of_candidates(load_task):
    (function,) = example_signatures(load_task(RankingTask()).text_model).values()
    rows = [examples({"query": ["the cat"], "candidates": [texts]})[0] for texts in (["a", "dog"], ["mat"])]
    answers = function(inputs=tf.constant([row.SerializeToString() for row in rows]))
    assert answers["classes"].numpy().tolist() == [[b"a", b"dog"], [b"mat", b""]]
    assert answers["scores"].numpy()[1, 1] == 0.0


def test_regression(load_task):
    found, answers = asked(load_task(RegressionTask(False, 2.5, 1.5)), text=TEXTS)
    assert found.keys() == {"regress"}
    assert found["regress"].keys() == {"outputs"}
    assert found["regress"]["outputs"].shape == (3,)
    np.testing.assert_allclose(found["regress"]["outputs"], answers["value"], atol=1e-6)


@pytest.mark.slow
def test_multilabel_classification_and_multiple_choice(load_task):
    found, answers = asked(load_task(MultilabelTask(["a", "b"])), text=TEXTS)
    assert found["classify"]["classes"].tolist() == [[b"a", b"b"]] * 3
    np.testing.assert_allclose(found["classify"]["scores"], answers["probabilities"], atol=1e-6)
    choices = [["cat", "dog"], ["mat", ""], ["on", "sat"]]
    found, answers = asked(load_task(MultipleChoiceTask()), prompt=TEXTS, choices=choices)
    assert found["classify"]["classes"].tolist() == [[text.encode() for text in row] for row in choices]
    np.testing.assert_allclose(found["classify"]["scores"], answers["probabilities"], atol=1e-6)


@pytest.mark.long
def test_tasks_without_a_score_for_each_class_have_neither(embedder, summarizer):
    for folder in (embedder, summarizer):
        assert example_signatures(load(folder).text_model) == {}


@pytest.mark.long
def test_the_signatures_have_the_method_names_of_tensorflow_serving(tmp_path, classifier):
    folder = export_saved_model(classifier, output=tmp_path / "reviews")
    model = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    predict = "tensorflow/serving/predict"
    (graph,) = model.meta_graphs
    assert {name: each.method_name for name, each in graph.signature_def.items() if name[0] != "_"} == {
        "serving_default": predict,
        "tokens": predict,
        "classify": "tensorflow/serving/classify",
    }
    signature = tf.saved_model.load(str(folder)).signatures["classify"]
    assert signature.structured_input_signature[1] == {"inputs": tf.TensorSpec([None], tf.string, name="inputs")}
    assert signature.structured_outputs["scores"].shape.as_list() == [None, 3]
