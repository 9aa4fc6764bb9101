"""Exports LiteRT (TFLite) models of built-in operations, which are compared with the model folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kbert import features, files
from kbert.errors import UsageError
from kbert.export.options import ExportLitertOptions
from kbert.export.parity import check_litert_parity, sample_inputs
from kbert.export.phone.graph import InferenceGraph, constants_of
from kbert.inference.litert_model import interpreter, litert_model
from kbert.options import with_options
from kbert.prediction.loading import load
from kbert.prediction.options import HeadOptions
from kbert.prediction.predictor import Predictor
from kbert.text.graph.encoder import GraphEncoder


@with_options(ExportLitertOptions)
def export_litert(model: files.PathLike, *, options: ExportLitertOptions) -> Path:
    """Exports a fine-tuned model as one .tflite file.

    The inputs of the model are `input_word_ids`, `input_mask` and `input_type_ids`, int32 [1, S]. Its outputs are those
    of the signature `tokens` of the SavedModel, such as `probabilities`, float32 [1, C]. S is fixed; pad shorter texts.

    Args:
        model: A model folder that `finetune` wrote, or any that `kbert.load` accepts.
        options: All of these options in one object.

    Returns:
        The path of the file.

    Raises:
        UsageError: An option is invalid, or the model needs other inputs than one row of tokens.
        BundleError: The model folder is damaged, or its model is for no task.
        ExportError: The model needs operations that are not built into LiteRT.
        ParityError: The export gives other answers than the model; nothing was written.

    Example:
        >>> kbert.export_litert("RUN", output="films.tflite")
        PosixPath('films.tflite')
    """
    output, quantize = options.output, options.quantize
    loaded = load(model, options=options.narrowed(HeadOptions))
    length = options.sequence_length or loaded.sequence_length
    if not 5 <= length <= loaded.config.max_position_embeddings:
        raise UsageError(
            f"sequence_length must be from 5 to the model's {loaded.config.max_position_embeddings} positions. "
            f"Received: sequence_length={length}"
        )
    if loaded.task.model_features != features.ENCODER_FEATURES:
        raise UsageError(
            f"expected a task whose model reads one row of tokens. Received: {loaded.task.name}; use `kbert export "
            "saved-model`"
        )
    content = _convert(loaded, length, quantize)
    _check(content, loaded, length, quantize)
    with files.atomic_file(output) as handle:
        handle.write(content)
    return Path(output)


def _convert(loaded: Predictor, length: int, quantize: str) -> bytes:
    graph = InferenceGraph(loaded.encoder, length)
    encoder_variables = {id(variable) for variable in loaded.encoder.variables}
    head = [variable for variable in loaded.model.variables if id(variable) not in encoder_variables]

    def answer(input_word_ids: tf.Tensor, input_mask: tf.Tensor, input_type_ids: tf.Tensor) -> dict[str, tf.Tensor]:
        values = (input_word_ids, input_mask, input_type_ids)
        batch = {feature.name: value for feature, value in zip(features.ENCODER_FEATURES, values, strict=True)}
        with constants_of(head):
            outputs = loaded.model.heads(graph(*values), batch)
        return loaded.task.token_outputs(outputs, batch)

    signature = [tf.TensorSpec([1, length], tf.int32, name=feature.name) for feature in features.ENCODER_FEATURES]
    return litert_model(answer, signature, quantize)


def _check(content: bytes, loaded: Predictor, length: int, quantize: str) -> None:
    inputs = sample_inputs(loaded.task.text_inputs, loaded.tokenizer.vocabulary, longest=length)
    encode = GraphEncoder(loaded.text_model.encode.tokenizer, length)
    encoded = loaded.task.encode(encode, inputs)
    batch = {feature.name: encoded[feature.name].numpy() for feature in features.ENCODER_FEATURES}
    batch = {name: np.pad(values, ((0, 0), (0, length - values.shape[1]))) for name, values in batch.items()}
    outputs = loaded.text_model.from_tokens(*batch.values())
    expected = {name: value.numpy() for name, value in outputs.items()}
    received = run_litert(content, batch, length)
    mask = batch[features.INPUT_MASK.name]
    check_litert_parity(expected, received, mask, quantize=quantize, what=f"the LiteRT model ({quantize})")


def run_litert(model: bytes, batch: dict[str, np.ndarray], length: int) -> dict[str, np.ndarray]:
    """Runs a LiteRT model on each row of a batch.

    Args:
        model: The content of a .tflite file.
        batch: The features, int32 [B, L] with L at most `length`.
        length: The sequence length of the model, to which rows are padded.

    Returns:
        The outputs, float32 [B, ...].
    """
    runner: Any = interpreter(model, os.cpu_count() or 1).get_signature_runner()
    rows = []
    for index in range(len(next(iter(batch.values())))):
        inputs = {
            name: np.pad(values[index : index + 1], ((0, 0), (0, length - values.shape[1])))
            for name, values in batch.items()
        }
        rows.append(runner(**inputs))
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
