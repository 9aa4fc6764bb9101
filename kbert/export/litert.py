"""LiteRT (TFLite) models: built-in operations only, checked against the bundle."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kbert import features, files
from kbert.errors import ExportError, UsageError
from kbert.export.litert_graph import InferenceGraph, constants_of
from kbert.export.parity import check_parity, sample_inputs
from kbert.prediction import predictor
from kbert.runtime.quiet import held_stderr, quiet_logger
from kbert.text.graph.encoder import GraphEncoder

QUANTIZATIONS = ("none", "float16", "dynamic")
"""float32; weights in float16; weights in int8, activations quantized as they come."""

_TOLERANCES = {"none": 1e-4, "float16": 2e-2, "dynamic": 0.25}
"""Largest difference of a probability, or of a logit as part of the largest one. int8 moves single probabilities on
random words; what is refused is a graph that is wrong, not one that rounds."""


def export_litert(
    model: files.PathLike,
    *,
    output: files.PathLike,
    quantize: str = "none",
    sequence_length: int | None = None,
    **use: Any,
) -> Path:
    """Exports a fine-tuned model as one .tflite file.

    It takes `input_word_ids`, `input_mask` and `input_type_ids`, int32 [1, S], and gives what the token signature of
    the SavedModel gives, such as `probabilities`, float32 [1, C]; S is fixed, shorter texts are padded.

    Args:
        model: A model folder that `finetune` wrote, or any that `kbert.load` accepts.
        output: The file to write.
        quantize: "none", "float16" or "dynamic".
        sequence_length: S; by default what the model was fine-tuned with.
        use: Further arguments of `kbert.load`, such as `paired` and `pooling`. Prompts are not part of this export,
            since it takes token ids: put the prompt before the texts that you tokenize.

    Returns:
        The file.

    Raises:
        UsageError: An option cannot be, or the model takes more than a row of tokens.
        BundleError: The model cannot be read, or is for no task.
        ExportError: The converter needs more than built-in operations.
        ParityError: The export answers otherwise than the bundle; nothing was written.
    """
    if quantize not in QUANTIZATIONS:
        raise UsageError(f"quantize must be one of {', '.join(QUANTIZATIONS)}. Received: quantize={quantize!r}")
    loaded = predictor.load(model, **use)
    length = sequence_length or loaded.sequence_length
    if not 5 <= length <= loaded.config.max_position_embeddings:
        raise UsageError(
            f"sequence_length must be from 5 to the model's {loaded.config.max_position_embeddings} positions. "
            f"Received: sequence_length={length}"
        )
    if loaded.task.model_features != features.ENCODER_FEATURES:
        raise UsageError(f"the task {loaded.task.name} has no LiteRT export: its model takes more than a row of tokens")
    with _quiet():
        content = _convert(loaded, length, quantize)
        _check(content, loaded, length, quantize)
    with files.atomic_file(output) as handle:
        handle.write(content)
    return Path(output)


def _convert(loaded: predictor.Predictor, length: int, quantize: str) -> bytes:
    graph = InferenceGraph(loaded.encoder, length)
    encoder_variables = {id(variable) for variable in loaded.encoder.variables}
    head = [variable for variable in loaded.model.variables if id(variable) not in encoder_variables]

    def answer(input_word_ids: tf.Tensor, input_mask: tf.Tensor, input_type_ids: tf.Tensor) -> dict[str, tf.Tensor]:
        values = (input_word_ids, input_mask, input_type_ids)
        batch = {feature.name: value for feature, value in zip(features.ENCODER_FEATURES, values, strict=True)}
        with constants_of(head):
            outputs = loaded.model.heads(graph(*values), batch)
        return loaded.task.token_answers(outputs, batch)

    signature = [tf.TensorSpec([1, length], tf.int32, name=feature.name) for feature in features.ENCODER_FEATURES]
    module = tf.Module()
    module.answer = tf.function(answer, input_signature=signature)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([module.answer.get_concrete_function()], module)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if quantize != "none":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]
    try:
        return converter.convert()
    except Exception as problem:  # the converter raises several kinds, some of them private
        raise ExportError(f"LiteRT cannot express the model in built-in operations: {str(problem)[:300]}") from None


def _check(content: bytes, loaded: predictor.Predictor, length: int, quantize: str) -> None:
    inputs = sample_inputs(loaded.task.text_inputs, loaded.tokenizer.vocabulary, longest=length)
    encode = GraphEncoder(loaded.text_model.encode.tokenizer, length)
    encoded = loaded.task.encode(encode, inputs)
    batch = {feature.name: encoded[feature.name].numpy() for feature in features.ENCODER_FEATURES}
    batch = {name: np.pad(values, ((0, 0), (0, length - values.shape[1]))) for name, values in batch.items()}
    outputs = loaded.text_model.from_tokens(*batch.values())
    expected = {name: value.numpy() for name, value in outputs.items()}
    received = run_litert(content, batch, length)
    # Of a probability, or as part of the largest logit.
    scales = {name: max(1.0, float(np.abs(values).max())) for name, values in expected.items()}
    check_parity(
        {name: values / scales[name] for name, values in expected.items()},
        {name: values / scales[name] for name, values in received.items() if name in scales},
        tolerance=_TOLERANCES[quantize],
        what=f"the LiteRT model ({quantize})",
    )


def run_litert(model: bytes, batch: dict[str, np.ndarray], length: int) -> dict[str, np.ndarray]:
    """Runs a LiteRT model on a batch of features, row by row, padded to `length`; its outputs, float32 [B, ...]."""
    interpreter = tf.lite.Interpreter(model_content=model, num_threads=os.cpu_count() or 1)
    runner: Any = interpreter.get_signature_runner()
    rows = []
    for index in range(len(next(iter(batch.values())))):
        inputs = {
            name: np.pad(values[index : index + 1], ((0, 0), (0, length - values.shape[1])))
            for name, values in batch.items()
        }
        rows.append(runner(**inputs))
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the converter's and the interpreter's notices of their own future off the terminal."""
    with quiet_logger("tensorflow"), warnings.catch_warnings(), held_stderr():
        warnings.simplefilter("ignore")
        yield
