"""The signatures `classify` and `regress`, which TensorFlow Serving's Classify and Regress calls use.

Both take serialized tf.Examples. Their bytes features have the names of the text inputs, such as `text`; a text input
that is a list, such as `candidates`, is a feature with several values, and a span is an int64 feature of two values.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.saved_model import fingerprinting_utils

from kbert.prediction.text_model import TextModel
from kbert.tasks.protocol.answering import TextInput
from kbert.tasks.protocol.objective import Tensors

CLASSIFY, REGRESS = "classify", "regress"
INPUTS = "inputs"
METHODS = {CLASSIFY: "tensorflow/serving/classify", REGRESS: "tensorflow/serving/regress"}
"""The method names with which TensorFlow Serving's flag --enable_signature_method_name_check accepts the signatures."""

_SCORED_LISTS = {"candidates": "scores", "choices": "probabilities"}
"""The text inputs whose texts each have a score, and the answer that holds these scores."""

_Outputs = Callable[[Tensors, Tensors], dict[str, tf.Tensor]]


def example_signatures(text_model: TextModel) -> dict[str, Any]:
    """Returns the signatures over tf.Examples that the answers of a task allow, as tf.functions by name.

    - `classify`: `classes`, string [B, C], and `scores`, float32 [B, C]. Classification and multilabel classification
      give the labels and their probabilities; ranking and multiple choice give the candidates or choices of each
      example with their scores or probabilities, "" and 0 in unused places.
    - `regress`: `outputs`, float32 [B]. Regression gives its numbers.

    Other tasks have neither.

    Args:
        text_model: The model.
    """
    answers = text_model.from_text.get_concrete_function().structured_outputs
    found: dict[str, _Outputs] = {}
    if {"classes", "probabilities"} <= answers.keys():
        found[CLASSIFY] = lambda answers, _: {"classes": answers["classes"], "scores": answers["probabilities"]}
    for text in text_model.task.text_inputs:
        score = _SCORED_LISTS.get(text.name)
        if score is not None and score in answers:
            found[CLASSIFY] = functools.partial(_scored_list, text.name, score)
    if "value" in answers:
        found[REGRESS] = lambda answers, _: {"outputs": answers["value"]}
    return {name: _signature(text_model, outputs) for name, outputs in found.items()}


def _scored_list(classes: str, scores: str, answers: Tensors, inputs: Tensors) -> dict[str, tf.Tensor]:
    return {"classes": inputs[classes], "scores": answers[scores]}


def _signature(text_model: TextModel, outputs: _Outputs) -> Any:
    def from_examples(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        texts = _parse(inputs, text_model.task.text_inputs)
        return outputs(text_model.from_text(**texts), texts)

    return tf.function(from_examples, input_signature=[tf.TensorSpec([None], tf.string, name=INPUTS)], autograph=False)


def _parse(examples: tf.Tensor, texts: Sequence[TextInput]) -> dict[str, tf.Tensor]:
    """Returns the text inputs in serialized tf.Examples, string [B] → string [B], or [B, C] for lists.

    Spans are int32 [B, 2].
    """
    features = {text.name: _feature(text) for text in texts}
    parsed = tf.io.parse_example(examples, features)
    found = {text.name: parsed[text.name].to_tensor("") if text.is_list else parsed[text.name] for text in texts}
    return found | {text.name: tf.cast(found[text.name], tf.int32) for text in texts if text.is_span}


def _feature(text: TextInput) -> Any:
    if text.is_span:
        return tf.io.FixedLenFeature([2], tf.int64)
    return tf.io.RaggedFeature(tf.string) if text.is_list else tf.io.FixedLenFeature([], tf.string)


def examples(inputs: Mapping[str, Any]) -> list[tf.train.Example]:
    """Returns text inputs as tf.Examples.

    Args:
        inputs: Strings by the name of the input, string [B] or [B, C]; or spans, int32 [B, 2].
    """
    arrays = {name: np.asarray(values, object).reshape(len(values), -1) for name, values in inputs.items()}
    return [
        tf.train.Example(
            features=tf.train.Features(feature={name: _values(values[index]) for name, values in arrays.items()})
        )
        for index in range(len(next(iter(arrays.values()))))
    ]


def _values(values: np.ndarray) -> tf.train.Feature:
    if all(isinstance(value, (int, np.integer)) for value in values):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=map(int, values)))
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=map(_bytes, values)))


def _bytes(text: str | bytes) -> bytes:
    return text.encode("utf-8") if isinstance(text, str) else text


def name_methods(folder: Path) -> None:
    """Writes the method names of `classify` and `regress` into a SavedModel.

    TensorFlow gives every signature the name of the predict method. Its fingerprint, which holds a checksum of
    saved_model.pb, is written again.

    Args:
        folder: The folder that holds saved_model.pb.
    """
    path = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for graph in model.meta_graphs:
        for name in METHODS.keys() & graph.signature_def.keys():
            graph.signature_def[name].method_name = METHODS[name]
    path.write_bytes(model.SerializeToString(deterministic=True))
    fingerprinting_utils.write_fingerprint(str(folder))
