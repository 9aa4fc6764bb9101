"""Warm-up requests, which TensorFlow Serving and `kbert serve` run before a version answers for the first time.

The first requests of a graph are slow, since TensorFlow allocates memory and prepares kernels for their shapes. Both
servers therefore run the requests in assets.extra/tf_serving_warmup_requests, TFRecords of `PredictionLog`, when they
load a version. They use the signature that a request names, and ignore its model and version.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from kbert.export.example_signatures import CLASSIFY, REGRESS, examples
from kbert.export.parity import sample_spans, sample_texts
from kbert.export.sampling_signature import SAMPLE, with_seeds
from kbert.prediction.text_model import TextModel
from kbert.tasks.protocol.answering import TextInput
from kbert.text.vocabulary import Vocabulary

WARMUP_FILE = "tf_serving_warmup_requests"
LARGE_BATCH = 8
"""The number of texts in the larger batch. Their lengths grow from one word to the longest input."""


def warmup_inputs(texts: Sequence[TextInput], vocabulary: Vocabulary, longest: int) -> list[dict[str, np.ndarray]]:
    """Returns the text inputs of the warm-up requests: a short text, the longest one, and a batch of several lengths.

    Args:
        texts: The text inputs of the task.
        vocabulary: The vocabulary, from which the words are.
        longest: The longest input of the model in tokens, which is the number of words of the longest text.

    Returns:
        Arrays by the name of the input: string [B], or [B, 3] for an input that is a list; int32 [B, 2] for spans.
    """
    samples = sample_texts(vocabulary, count=LARGE_BATCH, longest=longest)[-LARGE_BATCH:]

    def values(text: TextInput, place: int, rows: Sequence[str]) -> np.ndarray:
        if text.is_span:
            return sample_spans(rows, last=bool(place % 2))
        return np.array([[row] * 3 if text.is_list else row for row in rows], object)

    return [
        {text.name: values(text, place, rows) for place, text in enumerate(texts)}
        for rows in (samples[:1], samples[-1:], samples)
    ]


def write_warmup_requests(
    path: Path, text_model: TextModel, vocabulary: Vocabulary, *, model_name: str, signatures: Collection[str]
) -> None:
    """Writes predict requests to `serving_default`, `tokens` and `sample`, and requests to `classify` and `regress`.

    Args:
        path: The file to write.
        text_model: The model.
        vocabulary: The vocabulary of the model.
        model_name: The name of the model in the requests, which servers ignore.
        signatures: The signatures of the SavedModel.
    """
    inputs = warmup_inputs(text_model.task.text_inputs, vocabulary, text_model.encode.sequence_length)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for texts in inputs:
            for record in _records(text_model, texts, model_name, signatures):
                writer.write(record.SerializeToString(deterministic=True))


def _records(
    text_model: TextModel, texts: Mapping[str, np.ndarray], model_name: str, signatures: Collection[str]
) -> Iterator[prediction_log_pb2.PredictionLog]:
    task = text_model.task
    yield _predict(model_name, "serving_default", texts)
    prompted = task.add_prompts({name: tf.constant(values) for name, values in texts.items()})
    encoded = task.encode(text_model.encode, prompted)
    tokens = {feature.name: encoded[feature.name].numpy() for feature in task.model_features}
    yield _predict(model_name, "tokens", tokens)
    if SAMPLE in signatures:
        sampled = {name: np.asarray(values) for name, values in with_seeds(texts).items()}
        yield _predict(model_name, SAMPLE, sampled)
    for name in (CLASSIFY, REGRESS):
        if name in signatures:
            yield _over_examples(model_name, name, texts)


def _predict(model_name: str, signature: str, inputs: Mapping[str, np.ndarray]) -> prediction_log_pb2.PredictionLog:
    record = prediction_log_pb2.PredictionLog()
    request = record.predict_log.request
    request.model_spec.name = model_name
    request.model_spec.signature_name = signature
    for name, values in inputs.items():
        request.inputs[name].CopyFrom(_tensor(values))
    return record


def _over_examples(
    model_name: str, signature: str, texts: Mapping[str, np.ndarray]
) -> prediction_log_pb2.PredictionLog:
    record = prediction_log_pb2.PredictionLog()
    log = record.classify_log if signature == CLASSIFY else record.regress_log
    log.request.model_spec.name = model_name
    log.request.model_spec.signature_name = signature
    log.request.input.example_list.examples.extend(examples(texts))
    return record


def _tensor(values: np.ndarray) -> Any:
    """Returns a TensorProto. Whole numbers are packed, since most tokens then take two bytes instead of four."""
    tensor = tf.make_tensor_proto(values)
    if values.dtype == np.int32:
        tensor.ClearField("tensor_content")
        tensor.ClearField("int_val")
        tensor.int_val.extend(values.ravel().tolist())
    return tensor
