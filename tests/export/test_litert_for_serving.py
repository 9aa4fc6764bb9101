"""model.tflite in the version folder, asked as TensorFlow Serving asks it."""

import numpy as np
import pytest
import tensorflow as tf

from kbert.errors import ParityError, UsageError
from kbert.export import litert_for_serving
from kbert.export.litert_for_serving import answers_in_serving
from kbert.export.saved_model import export_saved_model
from kbert.inference.litert_model import interpreter
from kbert.inference.packed_encoder import BatchedEncoder
from kbert.prediction.loading import load
from kbert.tasks.multiple_choice import MultipleChoiceTask
from kbert.tasks.tagging import TaggingTask

TEXTS = ["the cat sat on the mat .", "", "unaffable dogs !", "the " * 50]
PAIRS = ["a dog", "the mat", "", "fast"]


def ids_of(model, *columns):
    encoded = model.text_model.encode(*map(tf.constant, columns))
    return [encoded[name].numpy() for name in ("input_word_ids", "input_mask", "input_type_ids")]


@pytest.mark.long
@pytest.mark.parametrize("quantize", ["none", "dynamic"])
def test_pairs_get_the_answers_of_the_model(tmp_path, pair_classifier, quantize):
    folder = export_saved_model(pair_classifier, output=tmp_path / "served", litert=quantize)
    assert (folder / "saved_model.pb").is_file()
    served = interpreter((folder / "model.tflite").read_bytes(), 1)
    model = load(pair_classifier)
    # The sizes of requests go up and down.
    for count in (1, 4, 2):
        tokens = ids_of(model, TEXTS[:count], PAIRS[:count])
        answers = answers_in_serving(served, tokens[0])
        assert answers.keys() == {"probabilities"}
        expected = model.text_model.from_tokens(*tokens)["probabilities"].numpy()
        np.testing.assert_allclose(answers["probabilities"], expected, atol=1e-5 if quantize == "none" else 0.25)


@pytest.mark.long
def test_names_are_those_of_the_features_and_the_answers(tmp_path, make_task_model):
    """TensorFlow Serving makes a signature of the names of the tensors, since the file has no SignatureDef."""
    task = TaggingTask(["O", "B-a", "I-a"])
    folder = export_saved_model(make_task_model(tmp_path / "m", task), output=tmp_path / "served", litert="none")
    served = interpreter((folder / "model.tflite").read_bytes(), 1)
    (given,) = served.get_input_details()
    assert (given["name"], given["dtype"], given["shape_signature"].tolist()) == ("input_word_ids", np.int32, [-1, -1])
    (answer,) = served.get_output_details()
    assert answer["name"] == "probabilities"
    assert answers_in_serving(served, np.array([[2, 5, 7, 3], [2, 7, 3, 0]], np.int32))["probabilities"].shape == (
        2,
        4,
        3,
    )
    names = {each["op_name"] for each in served._get_ops_details()} - {"DELEGATE"}
    assert not [name for name in names if name.startswith(("Flex", "CUSTOM"))]


@pytest.mark.long
def test_without_the_option_there_is_no_file(tmp_path, classifier):
    folder = export_saved_model(classifier, output=tmp_path / "served")
    assert not (folder / "model.tflite").exists()


def test_tasks_with_several_rows_are_refused(tmp_path, make_task_model):
    model = make_task_model(tmp_path / "m", MultipleChoiceTask())
    with pytest.raises(
        UsageError, match=r"^litert is for tasks .* one row of tokens\. Received: multiple-choice; leave it out$"
    ):
        export_saved_model(model, output=tmp_path / "served", litert="none")
    assert not list((tmp_path / "served").glob("*"))


@pytest.mark.long
def test_another_answer_is_refused(tmp_path, classifier, monkeypatch):
    class Wrong(BatchedEncoder):
        def _joined(self, context):
            return super()._joined(context) * 1.01

    monkeypatch.setattr(litert_for_serving, "BatchedEncoder", Wrong)
    with pytest.raises(ParityError, match=r"model\.tflite \(none\): probabilities must differ .* nothing was written"):
        export_saved_model(classifier, output=tmp_path / "served", litert="none")
    assert not list((tmp_path / "served").glob("*"))
