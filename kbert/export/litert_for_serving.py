"""LiteRT models for TensorFlow Serving, which runs VERSION/model.tflite if it has the flag --prefer_tflite_model.

TensorFlow Serving's source (tflite_session.cc) decides the form of the model:

- It resizes an input to the shape of the request, so the numbers of texts and tokens are unknown dimensions.
- It allocates all tensors again after it resized an input, and the data of the inputs before may be lost. So the model
  has one input; mask and segments are computed from the ids. Only models with one input are batched, too.
- A model without serialized SignatureDefs gets the signature `serving_default`, with the names of the tensors.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf

from kbert import features
from kbert.export.parity import check_litert_parity, sample_inputs
from kbert.export.phone.graph import constants_of
from kbert.inference.litert_model import interpreter, litert_model, named_tensors
from kbert.inference.packed_encoder import BatchedEncoder
from kbert.options import option_error
from kbert.prediction.predictor import Predictor
from kbert.tasks.protocol.answering import AnsweringTask

FILE_NAME = "model.tflite"


def check_task(task: AnsweringTask[Any]) -> None:
    """Checks that the model of a task reads one row of tokens.

    Raises:
        OptionError: The model needs other inputs.
    """
    if task.model_features != features.ENCODER_FEATURES or not task.one_pass:
        raise option_error(
            lambda spell: (
                f"{spell('litert')} is for tasks whose model reads one row of tokens. Received: {task.name}; leave it "
                "out"
            )
        )


def litert_for_serving(loaded: Predictor, quantize: str) -> bytes:
    """Returns a LiteRT model from token ids to answers, after a check that it answers as the model.

    Its input is `input_word_ids`, int32 [B, S], padded with the id of [PAD]. Its outputs are those of the signature
    `tokens` of the SavedModel, such as `probabilities`, float32 [B, C].

    Args:
        loaded: The model, whose task `check_task` accepts.
        quantize: The weights, as in `kbert.inference.litert_model.litert_model`.

    Raises:
        ExportError: The model needs operations that are not built into LiteRT.
        ParityError: The LiteRT model gives other answers than the model.
    """
    encoder = BatchedEncoder(loaded.encoder)
    vocabulary = loaded.tokenizer.vocabulary
    pooler = loaded.encoder.pooler
    paired = len(loaded.task.text_inputs) > 1
    encoder_variables = {id(variable) for variable in loaded.encoder.variables}
    head = [variable for variable in loaded.model.variables if id(variable) not in encoder_variables]

    def answer(input_word_ids: tf.Tensor) -> dict[str, tf.Tensor]:
        mask = tf.cast(tf.not_equal(input_word_ids, vocabulary.pad_id), tf.int32)
        # A single text may contain [SEP], which begins no second text.
        types = _segments(input_word_ids, vocabulary.sep_id) * mask if paired else tf.zeros_like(mask)
        values = (input_word_ids, mask, types)
        batch = {feature.name: value for feature, value in zip(features.ENCODER_FEATURES, values, strict=True)}
        outputs = {"sequence_output": encoder(*values)}
        with constants_of([*head, *([] if pooler is None else pooler.variables)]):
            if pooler is not None:
                outputs["pooled_output"] = pooler(outputs["sequence_output"])
            return loaded.task.token_outputs(loaded.model.heads(outputs, batch), batch)

    signature = [tf.TensorSpec([None, None], tf.int32, name=features.INPUT_WORD_IDS.name)]
    content = named_tensors(litert_model(answer, signature, quantize))
    _check(content, loaded, quantize)
    return content


def _segments(ids: tf.Tensor, sep_id: int) -> tf.Tensor:
    """Returns the segment ids of [CLS] text [SEP] pair [SEP]: 1 for tokens after the first [SEP], int32 [B, S]."""
    ends = tf.cast(tf.equal(ids, sep_id), tf.int32)
    return tf.minimum(tf.cumsum(ends, axis=1) - ends, 1)


def _check(content: bytes, loaded: Predictor, quantize: str) -> None:
    """Compares the answers for batches of several sizes, since TensorFlow Serving resizes the input."""
    task = loaded.task
    inputs = sample_inputs(task.text_inputs, loaded.tokenizer.vocabulary)
    encoded = task.encode(loaded.text_model.encode, inputs)
    values = [encoded[feature.name].numpy() for feature in features.ENCODER_FEATURES]
    count = math.ceil(len(values[0]) / 2)
    model = interpreter(content, 1)
    for rows in (slice(count), slice(count, None), slice(1)):
        # Not more padding than in a request with these rows alone.
        length = int(values[1][rows].sum(-1).max())
        part = [value[rows, :length] for value in values]
        expected = {name: value.numpy() for name, value in loaded.text_model.from_tokens(*part).items()}
        received = answers_in_serving(model, part[0])
        check_litert_parity(expected, received, part[1], quantize=quantize, what=f"{FILE_NAME} ({quantize})")


def answers_in_serving(model: Any, ids: np.ndarray) -> dict[str, np.ndarray]:
    """Asks an interpreter in the way of TensorFlow Serving: by the names of tensors, and with resized inputs.

    Args:
        model: An interpreter of the model.
        ids: Token ids, int32 [B, S].

    Returns:
        The outputs, by name.
    """
    (given,) = model.get_input_details()
    model.resize_tensor_input(given["index"], ids.shape)
    model.allocate_tensors()
    model.set_tensor(given["index"], ids)
    model.invoke()
    return {each["name"]: model.get_tensor(each["index"]) for each in model.get_output_details()}
