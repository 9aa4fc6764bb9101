"""Predictions as lines of text."""

import types

from kbert.prediction.prediction_text import prediction_line
from kbert.tasks.classification import ClassificationTask
from kbert.tasks.multiple_choice import MultipleChoiceTask


def test_a_prediction_is_one_line_whatever_its_texts_hold():
    loaded = types.SimpleNamespace(task=ClassificationTask(["a", "b"], paired=True))
    probabilities = {"a": 0.75, "b": 0.25}
    texts = {"text": "two\nlines\tand\r\nmore", "pair": "three\u2028four", "id": "x\ty\nz"}
    prediction = {**texts, "label": "a", "probabilities": probabilities}
    assert prediction_line(loaded, prediction, "text", ["id"]) == "x y z\ta\t0.7500\ttwo lines and  more\tthree four"
    loaded = types.SimpleNamespace(task=MultipleChoiceTask())
    choices = ["one\nline", "two"]
    prediction = {"prompt": "a\nb", "choices": choices, "choice": "one\nline", "index": 0, "probabilities": [0.9, 0.1]}
    assert prediction_line(loaded, prediction, "text", []) == "0\t0.9000\ta b\tone line"
