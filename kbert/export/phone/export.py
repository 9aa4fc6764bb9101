"""Exports LiteRT (TFLite) models for phones, which are compared with the model folder."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from kbert import files
from kbert.errors import UsageError
from kbert.export.options import ExportLitertOptions
from kbert.export.parity import check_parity
from kbert.export.phone.accuracy import Accuracy, check_drop
from kbert.export.phone.calibration import CalibrationTexts
from kbert.export.phone.checks import check_code_points, check_rows
from kbert.export.phone.code_point_model import CODE_POINTS_PER_TOKEN, CodePointModel
from kbert.export.phone.file_text_model import FileTextModel, token_wise_outputs
from kbert.export.phone.lengths import joined_models
from kbert.export.phone.metadata.of_model import exported_model, metadata_of
from kbert.export.phone.metadata.programs import describe_openings, opens_as_is
from kbert.export.phone.metadata.writing import with_metadata
from kbert.export.phone.outputs import without_outputs
from kbert.export.phone.quantization import QUANTIZER_DTYPES, check_quantizer, describe_training, quantized
from kbert.export.phone.row_model import RAW_PREFIX, RowModel
from kbert.inference.litert_model import interpreter, litert_model
from kbert.model_folder.bundle import quantize_aware
from kbert.model_folder.card import read_card
from kbert.model_folder.hub import resolve
from kbert.options import with_options
from kbert.prediction.loading import load
from kbert.prediction.options import HeadOptions
from kbert.prediction.predictor import Predictor
from kbert.text.mediapipe_tokenizer import check_uncased, mediapipe_tokenizer
from kbert.text.settings import MEDIAPIPE

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
    if options.quantize in QUANTIZER_DTYPES:
        check_quantizer()
    loaded = load(model, options=options.narrowed(HeadOptions))
    if loaded.task.not_for_phones:
        raise UsageError(
            f"models for {loaded.task.name} cannot be exported for phones, since {loaded.task.not_for_phones}; "
            "`kbert export saved-model` exports them"
        )
    lengths = _lengths(options.sequence_lengths, loaded)
    calibration = CalibrationTexts(loaded, options)
    trained_for = quantize_aware(resolve(model))
    if trained_for is not None:
        _LOG.info("%s", describe_training(trained_for, options.quantize))
    contents = {
        length: _token_content(loaded, length, options.quantize, calibration, trained_for) for length in lengths
    }
    opened = exported_model(
        loaded, signatures=len(lengths), sequence_length=lengths[0], takes_tokens=options.input == "tokens"
    )
    with_program = options.metadata == "auto" and opens_as_is(opened)
    if with_program and not options.force:
        check_uncased(
            loaded.tokenizer, "export with --metadata none for an app with a tokenizer of its own, or with --force"
        )
    if options.validation is not None:
        _tell_accuracy(loaded, contents[lengths[-1]], lengths[-1], options, mediapipe=with_program)
    if options.input == "codepoints":
        contents = {
            length: _code_point_content(loaded, length, options, content, calibration, trained_for)
            for length, content in contents.items()
        }
    content = _without_raw_outputs(contents)
    if with_program:
        content = with_metadata(
            content, metadata_of(loaded, name=Path(options.output).stem, card=read_card(resolve(model)))
        )
    if options.metadata == "auto":
        _LOG.info("%s", "; ".join(describe_openings(opened)))
    with files.atomic_file(options.output) as handle:
        handle.write(content)
    return Path(options.output)


def _token_content(
    loaded: Predictor, length: int, quantize: str, calibration: CalibrationTexts, trained_for: str | None = None
) -> bytes:
    """Returns the LiteRT model that takes tokens, with raw outputs (see `RowModel`), after a check of its answers."""
    model = RowModel(loaded.task, loaded.model, length, unchanged_kernels=trained_for is not None)
    content = litert_model(model, model.signature, _converter_dtype(quantize))
    check_rows(content, loaded, length, _converter_dtype(quantize))
    if quantize in QUANTIZER_DTYPES:
        content = quantized(content, quantize, calibration.token_rows(length), trained_for=trained_for)
        check_rows(content, loaded, length, quantize)
    return content


def _converter_dtype(quantize: str) -> str:
    """Returns the dtype of the weights that the converter writes, before a quantizer changes them."""
    return "none" if quantize in QUANTIZER_DTYPES else quantize


def _tell_accuracy(
    loaded: Predictor, content: bytes, length: int, options: ExportLitertOptions, *, mediapipe: bool
) -> None:
    """Logs the metrics of the model and of the file, also with MediaPipe's tokenizer if it opens the file.

    Raises:
        ParityError: The metric decreases by more than `max_drop`.
    """
    before = loaded.evaluate(options.validation, skip_bad=options.skip_bad)

    def tell(what: str, tokenizing: Predictor, way_out: str = "") -> None:
        engine = FileTextModel(tokenizing.text_model, content, length, _THREADS)
        after = tokenizing.with_engine(engine).evaluate(options.validation, skip_bad=options.skip_bad)
        accuracy = Accuracy.of(loaded.task, before, after)
        check_drop(accuracy, options.max_drop, what, way_out)
        _LOG.info("%s: %s", what, accuracy)

    tell(f"the LiteRT model ({options.quantize})", loaded)
    if mediapipe and loaded.tokenizer.settings.normalization != MEDIAPIPE:
        tokenizer = mediapipe_tokenizer(loaded.tokenizer)
        tell(
            "with MediaPipe's tokenizer",
            Predictor(loaded.task, loaded.model, tokenizer, loaded.sequence_length, reading=loaded.reading),
            "; train with `kbert finetune --tokenizer mediapipe`, or export with --metadata none",
        )


def _lengths(given: Sequence[int], loaded: Predictor) -> list[int]:
    most = loaded.config.max_position_embeddings
    for length in given:
        if length > most:
            raise UsageError(
                f"the sequence length must be at most the model's {most} positions. Received: sequence length {length}"
            )
    return list(given) or [loaded.sequence_length]


def _code_point_content(
    loaded: Predictor,
    length: int,
    options: ExportLitertOptions,
    token_content: bytes,
    calibration: CalibrationTexts,
    trained_for: str | None,
) -> bytes:
    """Returns the LiteRT model that takes code points, after a check that it answers as the one that takes tokens."""
    task, tokenizer = loaded.task, loaded.tokenizer
    row_model = RowModel(task, loaded.model, length, unchanged_kernels=trained_for is not None)
    text_length = options.text_length or CODE_POINTS_PER_TOKEN * length
    token_wise = bool(token_wise_outputs(loaded.text_model))
    model = CodePointModel(row_model, tokenizer, text_length, token_wise=token_wise)
    content = litert_model(model, model.signature, _converter_dtype(options.quantize))
    if options.quantize in QUANTIZER_DTYPES:
        rows = calibration.code_point_rows([spec.name for spec in model.signature], text_length)
        content = quantized(content, options.quantize, rows, trained_for=trained_for)
    check_code_points(content, token_content, loaded, length, text_length, options.quantize)
    return content


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
