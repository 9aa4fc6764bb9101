"""The options of exports."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from kbert import files
from kbert.options import option, option_error, with_documented_fields
from kbert.prediction.options import HeadOptions, PromptedOptions

QUANTIZATIONS = ("none", "float16", "dynamic")
"""float32; weights in float16; weights in int8, with activations that are quantized while the model runs."""

PHONE_QUANTIZATIONS = (*QUANTIZATIONS, "int8", "int4")
"""Those of QUANTIZATIONS; weights and activations in int8, whose ranges are measured on texts; weights in int4."""

ENCODER_QUANTIZATIONS = ("none", "dynamic")
"""float32; weights in int8, with activations that are quantized while the model runs."""

METADATA = ("auto", "none")
"""Metadata for models that a program on phones can open, or no metadata."""

INPUTS = ("tokens", "codepoints")
"""Token ids, or the code points of texts."""

OPERATIONS = ("text", "core")
"""Tokenizers in the graph: with operations of TensorFlow Text, or with those of TensorFlow alone."""


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportSavedModelOptions(PromptedOptions):
    """The options of `kbert.export_saved_model`.

    Example:
        >>> kbert.ExportSavedModelOptions(output="saved_models/films", version=0)
        Traceback (most recent call last):
            ...
        kbert.options.errors.OptionError: version must be at least 1. Received: version=0
    """

    output: files.PathLike = option(
        help="The base path of the served model, such as saved_models/NAME.", path="output-folder"
    )
    version: int | None = option(
        None, "The version number.", default_help="one more than the largest version in `output`, or 1", minimum=1
    )
    litert: str | None = option(
        None,
        "Also write model.tflite with weights of this dtype, which TensorFlow Serving runs instead of the SavedModel "
        "with its flag --prefer_tflite_model.",
        details="It takes token ids: `input_word_ids`, int32 [B, S], padded with the id of [PAD].",
        choices=QUANTIZATIONS,
    )
    litert_encoder: str | None = option(
        None,
        "Also write the encoder for LiteRT with weights of this dtype, with which kbert serve answers faster on CPUs.",
        choices=ENCODER_QUANTIZATIONS,
    )
    explain: bool = option(
        False,
        "Also write the signature explain, which returns the scores of the words of a text.",
        details="It takes the texts, and `label`, the label to explain or an empty text for the predicted one. A "
        "request takes about 30 times as long as a prediction. For classification, multilabel classification and "
        "regression.",
    )
    ops: str = option(
        "text",
        "The operations of the tokenizer in the graph: text includes those of TensorFlow Text; core has only those of "
        "TensorFlow, for runtimes without TensorFlow Text.",
        details="Both give the same ids. The tokenizer core takes 2.3 times as long: 2.8 instead of 1.2 ms for 32 "
        "sentences of SST-2, for which MiniLM takes some 300 ms of processor time.",
        choices=OPERATIONS,
    )


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportLitertOptions(HeadOptions):
    """The options of `kbert.export_litert`.

    With token ids as inputs there is no prompt: put it before the texts that you tokenize. With code points the prompt
    of the model is part of the file.

    Example:
        >>> kbert.ExportLitertOptions(output="films.tflite", sequence_lengths=[32, 128]).quantize
        'none'
    """

    output: files.PathLike = option(help="The .tflite file to write.", path="output-file")
    quantize: str = option(
        "none",
        "The dtype of the weights: none is float32, float16 is float16, dynamic and int8 are int8, and int4 is int4.",
        details="With dynamic and int4, activations are quantized while the model runs. With int8, their ranges are "
        "measured on the texts of `calibration` and are part of the file, as accelerators without floating point need "
        "it. int8 and int4 need the package ai-edge-quantizer (the extra kbert[quantize]).",
        choices=PHONE_QUANTIZATIONS,
    )
    sequence_lengths: Sequence[int] = option(
        (),
        "The number of tokens of an input; can be repeated. A file with several lengths has a signature for each, such "
        "as tokens_32, and stores the weights once.",
        default_help="as in fine-tuning",
        flag="--sequence-length",
        minimum=5,
    )
    input: str = option(
        "tokens",
        "What an input holds: tokens are token ids, and codepoints are the UTF-32 code points of the text. With "
        "codepoints the file tokenizes, so that the app needs no tokenizer.",
        details="The inputs are `code_points`, and for pairs also `code_points_pair`, int32 [1, N], padded with 0. A "
        "tagger and a model for question answering also return `starts` and `ends`, int32 [1, S]: the code points "
        "[start, end) that each token comes from.",
        choices=INPUTS,
    )
    text_length: int | None = option(
        None,
        "The number of code points of a text, N, for the input codepoints. What is behind them is not read.",
        default_help="6 for each token",
        minimum=1,
    )
    validation: files.PathLike | None = option(
        None,
        "A labelled file, read with the columns of fine-tuning. The metrics of the model and of the exported file on "
        "it are printed.",
        path="file",
    )
    calibration: files.PathLike | None = option(
        None,
        "A file whose texts are used to measure the ranges of activations, for int8.",
        default_help="that of `validation`",
        path="file",
    )
    skip_bad: int = option(0, "Skip and count up to N invalid rows of `validation`.", minimum=0, metavar="N")
    max_drop: float | None = option(
        None,
        "The largest decrease of the main metric by the export, in points (hundredths); with a larger one nothing is "
        "written. It needs `validation`.",
        minimum=0,
    )

    metadata: str = option(
        "auto",
        "Whether metadata are written, with which MediaPipe Tasks or the Task Library open the file: auto for models "
        "that one of them can open, or none.",
        details="The metadata include the vocabulary and the labels.",
        choices=METADATA,
    )
    force: bool = option(
        False,
        "Write metadata for a cased model too, whose text MediaPipe lower-cases.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "sequence_lengths", tuple(sorted(set(self.sequence_lengths))))
        if self.text_length is not None and self.input != "codepoints":
            raise option_error(
                lambda spell: (
                    f"{spell('text_length')} needs {spell('input', 'codepoints')}. Received: "
                    f"{spell('input', self.input)}"
                )
            )
        if self.max_drop is not None and self.validation is None:
            raise option_error(
                lambda spell: f"{spell('max_drop')} needs {spell('validation')}. Received: no {spell('validation')}"
            )
        if self.skip_bad and self.validation is None:
            raise option_error(
                lambda spell: f"{spell('skip_bad')} needs {spell('validation')}. Received: no {spell('validation')}"
            )
        if self.calibration is not None and self.quantize != "int8":
            raise option_error(
                lambda spell: (
                    f"{spell('calibration')} needs {spell('quantize', 'int8')}. Received: "
                    f"{spell('quantize', self.quantize)}, which measures no ranges; leave {spell('calibration')} out"
                )
            )
        if self.quantize == "int8" and self.validation is None and self.calibration is None:
            raise option_error(
                lambda spell: (
                    f"{spell('quantize', 'int8')} needs texts, in {spell('calibration')} or {spell('validation')}. "
                    "Received: neither"
                )
            )
