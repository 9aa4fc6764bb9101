"""The options of exports."""

from __future__ import annotations

import dataclasses

from kbert import files
from kbert.options import option, with_documented_fields
from kbert.prediction.options import HeadOptions, PromptedOptions

QUANTIZATIONS = ("none", "float16", "dynamic")
"""float32; weights in float16; weights in int8, with activations that are quantized while the model runs."""

ENCODER_QUANTIZATIONS = ("none", "dynamic")
"""float32; weights in int8, with activations that are quantized while the model runs."""

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

    An export takes token ids, so it has no options for prompts: put the prompt before the texts that you tokenize.

    Example:
        >>> kbert.ExportLitertOptions(output="films.tflite").quantize
        'none'
    """

    output: files.PathLike = option(help="The .tflite file to write.", path="output-file")
    quantize: str = option(
        "none",
        "The dtype of the weights: none is float32, float16 is float16, and dynamic is int8.",
        choices=QUANTIZATIONS,
    )
    sequence_length: int | None = option(
        None, "The number of tokens of an input.", default_help="as in fine-tuning", minimum=5
    )
