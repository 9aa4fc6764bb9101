import json

import numpy as np
import pytest
import tensorflow as tf

from kbert.errors import BundleError, UsageError
from kbert.model_folder.bundle import Bundle
from kbert.tasks.calibrated_task import calibrated_task
from kbert.tasks.classification import ClassificationTask
from kbert.tasks.factories import task_from_bundle
from kbert.tasks.multilabel import MultilabelTask
from kbert.tasks.multiple_choice import ChoiceExample, MultipleChoiceTask
from kbert.tasks.regression import RegressionTask
from kbert.tasks.text_task import Example
from kbert.text.tokenizer import Tokenizer

PROBABILITIES = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7]], np.float32)
EXAMPLES = [Example("x", None, label, line) for line, label in enumerate("abba", start=2)]


def test_settings_are_written_only_if_a_model_is_calibrated():
    task = ClassificationTask(["a", "b"])
    assert not {"temperature", "abstain_below"} & task.settings().keys()
    saved = json.loads(json.dumps(task.with_temperature(2.0).with_temperature(1.5).with_abstention(0.7).settings()))
    assert (saved["temperature"], saved["abstain_below"]) == (3.0, 0.7)
    again = ClassificationTask.from_settings(saved)
    assert (again.temperature, again.abstain_below, again.labels) == (3.0, 0.7, ["a", "b"])
    assert again.settings() == saved
    assert again.as_trained().settings() == task.settings()


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"temperature": 0}, "temperature must be above 0. Received: 0.0"),
        ({"temperature": "2"}, "temperature must be a number. Received: '2'"),
        ({"abstain_below": 1.5}, "abstain_below must be from 0 to 1. Received: 1.5"),
    ],
)
def test_settings_that_cannot_be(small_config, vocabulary, value, problem):
    settings = {"task": ClassificationTask(["a", "b"]).settings() | value}
    with pytest.raises(BundleError) as error:
        task_from_bundle(Bundle(small_config, Tokenizer(vocabulary), {}, "BertModel", settings), "folder")
    assert str(error.value) == f"folder: the task in kbert.json cannot be used ({problem})"


def test_an_evaluation_shows_the_error_before_and_after():
    task = ClassificationTask(["a", "b"])
    plain = task.evaluate(EXAMPLES, {"probabilities": PROBABILITIES})
    assert "calibration_error_before" not in plain
    assert plain["risk_coverage_area"] == pytest.approx((0 + 0 + 1 / 3 + 1 / 4) / 4)
    softer = task.decisions(EXAMPLES, {"probabilities": PROBABILITIES}).probabilities(2.0)
    after = task.with_temperature(2.0).evaluate(EXAMPLES, {"probabilities": softer})
    assert after["calibration_error_before"] == pytest.approx(plain["calibration_error"])
    assert after["calibration_error"] != pytest.approx(plain["calibration_error"])
    assert after["accuracy"] == plain["accuracy"]


def test_an_evaluation_of_a_model_that_abstains():
    scores = ClassificationTask(["a", "b"]).with_abstention(0.75).evaluate(EXAMPLES, {"probabilities": PROBABILITIES})
    assert (scores["coverage"], scores["answered_accuracy"]) == (0.5, 1.0)


def test_a_model_abstains_in_its_served_answers():
    logits = tf.math.log(tf.constant(PROBABILITIES))
    task = ClassificationTask(["a", "b"])
    assert "abstained" not in task.served_answers({"logits": logits}, {})
    served = task.with_abstention(0.65).served_answers({"logits": logits}, {})
    assert served["abstained"].numpy().tolist() == [False, True, False, False]
    assert served["label"].numpy().tolist() == [b"a", b"b", b"b", b"b"]
    row = {name: value.numpy()[1] for name, value in served.items()}
    answer = task.readable_answer(row)
    assert (answer["label"], answer["abstained"]) == ("b", True)
    assert task.text_line({"text": "x", **answer}) == "-\t0.6000\tx"


def test_multiple_choice_abstains():
    task = MultipleChoiceTask().with_abstention(0.65)
    encoded = {"choices": tf.constant([["x", "y"]] * 4), "input_mask": tf.ones([4, 2, 3], tf.int32)}
    served = task.served_answers({"logits": tf.math.log(tf.constant(PROBABILITIES))}, encoded)
    assert served["abstained"].numpy().tolist() == [False, True, False, False]
    answer = task.readable_answer({name: value.numpy()[1] for name, value in served.items()})
    assert answer["abstained"] is True
    assert task.text_line({"prompt": "p", **answer}) == "-\t0.6000\tp\ty"
    examples = [ChoiceExample("p", ("x", "y"), target) for target in (0, 1, 1, 0)]
    assert task.evaluate(examples, {"probabilities": PROBABILITIES})["coverage"] == 0.75


def test_thresholds_of_labels_follow_the_temperature():
    task = MultilabelTask(["a", "b"], thresholds=[0.2, 0.5]).with_temperature(2.0)
    # log(0.2 / 0.8) / 2 is the logit of 1/3.
    assert task.thresholds == pytest.approx([1 / 3, 0.5])
    examples = [Example("x", None, ("a",)), Example("y", None, ("a", "b"))]
    scores = task.evaluate(examples, {"probabilities": np.array([[0.4, 0.4], [0.9, 0.6]], np.float32)})
    assert scores["subset_accuracy"] == 1
    assert scores["calibration_error"] == pytest.approx((2 * 0.1 + 0.1 + 0.4) / 4)
    assert "risk_coverage" not in scores


def test_what_cannot_be_calibrated():
    with pytest.raises(UsageError, match=r"^calibration is for classification, .* Received: a model for regression; "):
        calibrated_task(RegressionTask(), "calibration")
    with pytest.raises(
        UsageError, match=r"^a model abstains from a choice among classes\. Received: a model for multi"
    ):
        MultilabelTask(["a"]).with_abstention(0.5)
