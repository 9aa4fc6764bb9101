"""The signature `explain` of SavedModels, from texts to the scores of their words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kbert.export.parity import check_parity, sample_inputs
from kbert.export.session import session_answers
from kbert.prediction.explanation.attribution import INTEGRATED_GRADIENTS
from kbert.prediction.explanation.explaining_graph import CHOICE_SPECS, NO_CHOICE, ExplainingGraph
from kbert.prediction.predictor import Predictor
from kbert.prediction.text_model import TextModel

EXPLAIN = "explain"
_TOLERANCE = 1e-4
_LONGEST, _TEXTS = 12, 6
"""The number of words of the longest text in the check, and the number of texts: an explanation takes many passes."""
_UNSTABLE = "completeness_gap"
"""A quotient of small differences, which rounding changes."""


def explaining_function(text_model: TextModel) -> Any:
    """Returns a tf.function from texts to explanations; see `ExplainingGraph`.

    Raises:
        UsageError: The answers of the task cannot be explained.
    """
    return ExplainingGraph(text_model, INTEGRATED_GRADIENTS).from_text


def check_explanations(folder: Path, loaded: Predictor) -> None:
    """Compares the explanations of a SavedModel, loaded in both ways, with those of the model.

    Args:
        folder: The folder that holds saved_model.pb.
        loaded: The model.

    Raises:
        ParityError: They differ.
    """
    task: Any = loaded.task
    samples = sample_inputs(task.explained_inputs, loaded.tokenizer.vocabulary, _LONGEST)
    inputs = {name: values[:_TEXTS] for name, values in samples.items()}
    function = explaining_function(loaded.text_model)
    for name in task.caller_choices:
        inputs[name] = tf.constant([NO_CHOICE[name]] * _TEXTS, CHOICE_SPECS[name].dtype)
    expected = _compared(function(*inputs.values()))
    restored = tf.saved_model.load(str(folder)).signatures[EXPLAIN]
    in_session = session_answers(folder, {EXPLAIN: {name: value.numpy() for name, value in inputs.items()}})[EXPLAIN]
    for way, answers in (
        ("tf.saved_model.load", restored(**inputs)),
        ("a session, as TensorFlow Serving's", in_session),
    ):
        what = f"the SavedModel's signature {EXPLAIN}, loaded by {way}"
        check_parity(expected, _compared(answers), tolerance=_TOLERANCE, what=what)


def _compared(answers: Any) -> dict[str, np.ndarray]:
    return {name: np.asarray(value) for name, value in answers.items() if name != _UNSTABLE}
