"""Exports LiteRT (TFLite) models for phones, which are compared with the model folder."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from kbert import features, files
from kbert.errors import UsageError
from kbert.export.options import ExportLitertOptions
from kbert.export.parity import check_litert_parity, check_parity, sample_inputs
from kbert.export.phone.accuracy import Accuracy, check_drop, measured_accuracy
from kbert.export.phone.file_text_model import FileTextModel
from kbert.export.phone.lengths import joined_models
from kbert.export.phone.outputs import without_outputs
from kbert.export.phone.quantization import CALIBRATION_ROWS, check_quantizer, quantized
from kbert.export.phone.row_model import MASKS, RAW_PREFIX, RowModel, rows_of
from kbert.inference.litert_model import interpreter, litert_model
from kbert.options import with_options
from kbert.prediction.loading import load
from kbert.prediction.options import HeadOptions
from kbert.prediction.predictor import Predictor
from kbert.text.graph.encoder import GraphEncoder

_LOG = logging.getLogger("kbert")
_THREADS = os.cpu_count() or 1


@with_options(ExportLitertOptions)
def export_litert(model: files.PathLike, *, options: ExportLitertOptions) -> Path:
    """Exports a fine-tuned model as one .tflite file of operations that are built into LiteRT.

    The inputs of the model are `input_word_ids`, `input_mask` and `input_type_ids`, int32 [1, S]. S is fixed; pad
    shorter texts with 0. The outputs are those of the signature `tokens` of the SavedModel, such as `probabilities`,
    float32 [1, C], with these differences, since an app asks for one row at a time:

    - A model for multiple choice reads the prompt with one of the choices, and returns `logits`, float32 [1]; the
      softmax of the logits of all choices are the probabilities. A model for ranking reads the text with one candidate.
    - A model for masked words also reads `masked_lm_positions`, int32 [1, 5]: the positions of the masks, and 0 in
      unused places.

    A file with several lengths has a signature for each length, `tokens_S`; otherwise there is one signature,
    `serving_default`.

    Args:
        model: A model folder that `finetune` wrote, or any that `kbert.load` accepts.
        options: All of these options in one object.

    Returns:
        The path of the file.

    Raises:
        UsageError: An option is invalid, or a package is missing.
        BundleError: The model folder is damaged, or its model is for no task.
        DataError: The validation file or the file for calibration is invalid.
        ExportError: The model needs operations that are not built into LiteRT.
        ParityError: The export gives other answers than the model, or decreases the metric by more than `max_drop`;
            nothing was written.

    Example:
        >>> kbert.export_litert("RUN", output="films.tflite")
        PosixPath('films.tflite')
    """
    if options.quantize in ("int8", "int4"):
        check_quantizer()
    loaded = load(model, options=options.narrowed(HeadOptions))
    lengths = _lengths(options.sequence_lengths, loaded)
    calibration = _calibration_texts(loaded, options)
    contents = {length: converted(loaded, length, options.quantize, calibration) for length in lengths}
    for length, content in contents.items():
        _check(content, loaded, length, options.quantize)
    if options.validation is not None:
        length = max(lengths)
        accuracy = file_accuracy(loaded, contents[length], length, options.validation)
        check_drop(accuracy, options.max_drop, f"the LiteRT model ({options.quantize})")
        _LOG.info("%s: %s", options.output, accuracy)
    content = _without_raw_outputs(contents)
    with files.atomic_file(options.output) as handle:
        handle.write(content)
    return Path(options.output)


def converted(
    loaded: Predictor, length: int, quantize: str, calibration: Callable[[int], Sequence[Mapping[str, np.ndarray]]]
) -> bytes:
    """Returns a LiteRT model for one length, whose outputs include raw outputs (see `RowModel`).

    Args:
        loaded: The model.
        length: The number of tokens of an input.
        quantize: The dtype of the weights; see `ExportLitertOptions`.
        calibration: Returns the rows on which the ranges of activations are measured, for "int8", given the length.

    Raises:
        ExportError: The model needs operations that are not built into LiteRT.
        UsageError: A package is missing.
    """
    row_model = RowModel(loaded.task, loaded.model, length)
    if quantize not in ("int8", "int4"):
        return litert_model(row_model, row_model.signature, quantize)
    content = litert_model(row_model, row_model.signature)
    return quantized(content, quantize, calibration(length) if quantize == "int8" else ())


def file_accuracy(loaded: Predictor, content: bytes, length: int, data: files.PathLike) -> Accuracy:
    """Returns the metrics of a model, and of the LiteRT model that `converted` made of it.

    Args:
        loaded: The model.
        content: The LiteRT model.
        length: The number of tokens of its input.
        data: A labelled file, which is read with the columns of fine-tuning.
    """
    engine = FileTextModel(loaded.text_model, content, length, _THREADS)
    return measured_accuracy(loaded, loaded.with_engine(engine), data)


def _lengths(given: Sequence[int], loaded: Predictor) -> list[int]:
    most = loaded.config.max_position_embeddings
    for length in given:
        if length > most:
            raise UsageError(
                f"the sequence length must be at most the model's {most} positions. Received: sequence length {length}"
            )
    return list(given) or [loaded.sequence_length]


def _calibration_texts(
    loaded: Predictor, options: ExportLitertOptions
) -> Callable[[int], Sequence[Mapping[str, np.ndarray]]]:
    """Returns a function from the length of rows to rows for calibration."""
    path = options.calibration or options.validation
    if options.quantize != "int8" or path is None:
        return lambda length: ()
    columns = [column[:CALIBRATION_ROWS] for column in loaded.read_inputs(path)]

    def rows(length: int) -> Sequence[Mapping[str, np.ndarray]]:
        task = loaded.task
        inputs = {text.name: tf.constant(column) for text, column in zip(task.text_inputs, columns, strict=True)}
        encode = GraphEncoder(loaded.text_model.encode.tokenizer, length)
        encoded = task.encode(encode, task.add_prompts(inputs))
        batch = {feature.name: encoded[feature.name].numpy() for feature in task.model_features}
        values = rows_of(task, batch, length)
        count = min(CALIBRATION_ROWS, len(next(iter(values.values()))))
        return [{name: value[index : index + 1] for name, value in values.items()} for index in range(count)]

    return rows


def _check(content: bytes, loaded: Predictor, length: int, quantize: str) -> None:
    """Compares the answers and the raw outputs of the file with those of the model."""
    task = loaded.task
    inputs = sample_inputs(task.text_inputs, loaded.tokenizer.vocabulary, longest=length)
    encoded = task.encode(GraphEncoder(loaded.text_model.encode.tokenizer, length), inputs)
    batch = {feature.name: encoded[feature.name].numpy() for feature in task.model_features}
    if features.MASKED_LM_POSITIONS.name in batch:
        # Texts of any words have no masks; the first tokens are as good a sample.
        last = batch[features.INPUT_MASK.name].sum(-1, keepdims=True) - 1
        batch[features.MASKED_LM_POSITIONS.name] = np.minimum(np.arange(MASKS), last).astype(np.int32)
    ids, mask = (batch[feature.name] for feature in (features.INPUT_WORD_IDS, features.INPUT_MASK))
    outputs = loaded.model({name: tf.constant(value) for name, value in batch.items()}, training=False)
    answers = {} if ids.ndim == 3 else task.token_outputs(outputs, batch)
    expected = {
        **{name: np.asarray(value) for name, value in answers.items()},
        **{f"{RAW_PREFIX}{name}": np.asarray(value) for name, value in outputs.items()},
    }
    received = FileTextModel(loaded.text_model, content, length, _THREADS).raw_outputs(batch)
    for name, values in list(expected.items()):
        given = received[name]
        if ids.ndim == 3:
            # Unused places for choices have no tokens, and no meaningful logits.
            used = mask.any(-1)
            expected[name], received[name] = values * used, given.reshape(values.shape) * used
        elif given.ndim > 1 and given.shape[1] == length and values.shape[1] == ids.shape[1]:
            received[name] = given[:, : ids.shape[1]]
    check_litert_parity(expected, received, mask, quantize=quantize, what=f"the LiteRT model ({quantize})")


def _without_raw_outputs(contents: Mapping[int, bytes]) -> bytes:
    """Returns the file of one or several lengths that is written, after a check that its answers did not change."""
    named = {"serving_default" if len(contents) == 1 else f"tokens_{length}": length for length in contents}
    stripped = {name: without_outputs(contents[length], RAW_PREFIX) for name, length in named.items()}
    content = joined_models(stripped)
    for name, length in named.items():
        before = interpreter(contents[length], _THREADS).get_signature_runner()
        after = interpreter(content, _THREADS).get_signature_runner(name)
        row = {key: np.ones(detail["shape"], np.int32) for key, detail in after.get_input_details().items()}
        answers = before(**row)
        wanted = {key: value for key, value in answers.items() if not key.startswith(RAW_PREFIX)}
        check_parity(wanted, after(**row), tolerance=0.0, what=f"the signature {name}")
    return content
