"""The options of loading a model, and of predicting and evaluating with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any

from kbert.beam.options import RunnerOptions
from kbert.files import PathLike
from kbert.model_folder.sentence_transformers import POOLINGS
from kbert.options import Options, option, option_error, option_infos, with_documented_fields
from kbert.tasks.task_info import COLUMNS_SECTION

EXPLANATIONS = ("integrated-gradients", "gradient-x-input", "occlusion")
"""The methods of kbert.prediction.explanation.attribution."""
ENGINES = ("tensorflow", "litert")
OUTPUT_FORMATS = ("text", "json", "conll")
QUANTIZATIONS = ("none", "dynamic")
"""Weights in float32; weights in int8, with activations that are quantized while the model runs."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeadOptions(Options):
    """The options that describe a model of another library whose files do not."""

    task: str | None = option(
        None,
        "The task of a model of another library with one output, if its files do not define it: ranking or regression.",
    )
    paired: bool | None = option(
        None,
        "Whether the inputs of a classifier of another library are pairs of texts.",
        default_help="as the files of the model say, or else single texts",
        off_flag="--single",
    )
    pooling: str | None = option(
        None,
        "How the vectors of the tokens are combined, if the files of the model do not define it.",
        details="It overrides the files of the model.",
        choices=POOLINGS,
    )


def _decoding(help: str, **settings: Any) -> Any:
    return option(None, help, default_help="that of the model", section="Generation", **settings)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DecodingOptions(Options):
    """The options of how a model for generation chooses the tokens of its answers."""

    max_target: int | None = _decoding("The largest number of tokens of an answer.", minimum=1)
    min_target: int | None = _decoding("The smallest number of tokens of an answer.", minimum=0)
    beams: int | None = _decoding(
        "The number of beginnings of an answer that are continued side by side; 1 takes the likeliest token each time.",
        minimum=1,
    )
    answers: int | None = _decoding(
        "The number of answers to a text, best first: at most `beams`, unless tokens are drawn.", minimum=1
    )
    length_penalty: float | None = _decoding(
        "The exponent of ((5 + n) / 6), by which the log probability of an answer of n tokens is divided; a larger one "
        "favours longer answers.",
        minimum=0,
    )
    no_repeat: int | None = _decoding(
        "The length of the sequences of tokens that an answer has at most once; 0 allows all repetitions.", minimum=0
    )
    temperature: float | None = _decoding(
        "Draw tokens at random, with logits that are divided by this number.", above=0
    )
    top_k: int | None = _decoding("Draw from this number of likeliest tokens; 0 draws from all.", minimum=0)
    top_p: float | None = _decoding(
        "Draw from the smallest set of likeliest tokens that has this probability.", above=0, maximum=1
    )
    seed: int | None = _decoding("The seed of drawn tokens.", minimum=0)

    def changes(self) -> dict[str, Any]:
        """Returns the values that are given, by name."""
        values = {name: getattr(self, name) for name in option_infos(DecodingOptions)}
        return {name: value for name, value in values.items() if value is not None}


@dataclasses.dataclass(frozen=True, kw_only=True)
class PromptedOptions(DecodingOptions, HeadOptions):
    """The options that describe a model from text to answers."""

    prompt: str | None = option(None, "The text that is put before each text, such as 'query: '; for embedding models.")
    prompt_name: str | None = option(None, "The name of a prompt of the model, instead of `prompt`.")
    abstain_below: float | None = option(
        None,
        "The least probability of an answer that is given; the model abstains below it. For classification and "
        "multiple choice.",
        details="0 gives all answers.",
        default_help="the threshold that the model was calibrated with, or else all answers are given",
        minimum=0,
        maximum=1,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class EngineOptions(Options):
    """The options of how the encoder is computed."""

    engine: str = option(
        "tensorflow",
        "The library that computes the encoder.",
        details="litert is faster on processors, but it first converts the model, which takes seconds.",
        choices=ENGINES,
    )
    quantize: str = option(
        "none",
        "The dtype of the encoder's weights: none is float32; dynamic is int8, for the engine litert.",
        choices=QUANTIZATIONS,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.quantize != "none" and self.engine != "litert":
            raise option_error(
                lambda spell: (
                    f"{spell('quantize', self.quantize)} needs {spell('engine', 'litert')}. Received: "
                    f"{spell('engine', self.engine)}"
                )
            )


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class LoadOptions(EngineOptions, PromptedOptions):
    """The options of `kbert.load`.

    Example:
        >>> options = kbert.LoadOptions(pooling="mean", prompt="query: ")
        >>> options.pooling, options.task
        ('mean', None)
    """

    pair_prompt: str | None = option(
        None,
        "The text that is put before the second texts of pairs in an evaluation, such as 'passage: '.",
        default_help="as `prompt`",
    )


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateOptions(Options):
    """The options of `Predictor.evaluate`, except the columns and the options of the task that describe the file.

    Example:
        >>> kbert.EvaluateOptions(skip_bad=2).batch_size
        64
    """

    batch_size: int = option(64, "The number of examples that are processed together.", minimum=1)
    skip_bad: int = option(
        0, "Skip and count up to N invalid rows of a file.", details='The metric "skipped" counts them.', minimum=0,
        metavar="N",
    )  # fmt: skip
    out_of_scope_label: str | None = option(
        None,
        "The label of texts that belong to no class, such as oos; the metrics say how well the model tells them from "
        "the others.",
        details="For classification. If the model has no such class, these texts do not count in the other metrics. "
        'The metric "out_of_scope_auroc" is the area under the ROC curve of one minus the largest probability, or of '
        'the probability of this class if the model has it; "out_of_scope_auroc_energy" is that of the negative log '
        "sum of the exponentials of the logits.",
    )
    faithfulness: bool = option(
        False,
        "Also measure whether the words that explanations name are those that the answers depend on.",
        details='For classification and multilabel classification. The metric "faithfulness" has the results of all '
        "methods beside those of random words.",
    )
    explained_examples: int = option(
        200, "The number of examples, from the first, whose explanations `faithfulness` measures.", minimum=1
    )


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictOptions(Options):
    """The options of `Predictor.predict` and `Predictor.predict_file`.

    Example:
        >>> kbert.PredictOptions(keep_columns=["id"]).batch_size
        64
    """

    batch_size: int = option(64, "The number of texts that are processed together.", minimum=1)
    keep_columns: Sequence[str] = option(
        (),
        "A column of the table that is copied to the predictions, such as an id; can be repeated.",
        flag="--keep-column",
        metavar="NAME",
        section=COLUMNS_SECTION,
    )


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class ExplainOptions(Options):
    """The options of `Predictor.explain`.

    Example:
        >>> kbert.ExplainOptions(method="occlusion").batch_size
        8
    """

    method: str = option(
        "integrated-gradients",
        "How the scores of words are computed.",
        details="The scores of integrated-gradients add up to what all words together change. gradient-x-input takes a "
        "single pass, for large files. occlusion replaces each word by itself.",
        choices=EXPLANATIONS,
    )
    label: str | None = option(
        None,
        "The label whose number is explained; for tagging, the type of the span.",
        default_help="the label that the model predicts",
    )
    span: tuple[int, int] | None = option(
        None,
        "For tagging, question answering and masks: the span of the text whose label or answer is explained.",
        details="The offset of its first character, and the offset after its last one; for a question, in the context.",
        default_help="the entity, the answer or the mask that the model is surest of",
        metavar="START:END",
    )
    sentence: int | None = option(
        None,
        "For summarization: the index of the sentence whose logit is explained.",
        default_help="the sentence with the largest logit",
        minimum=0,
    )
    batch_size: int = option(8, "The number of texts that are processed together.", minimum=1)


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictToFileOptions(LoadOptions, PredictOptions, RunnerOptions):
    """The options of `kbert.predict_to_file`, except the columns and the options of the task that describe the file.

    Example:
        >>> kbert.PredictToFileOptions(output="answers.jsonl", output_format="json").batch_size
        64
    """

    output: PathLike = option(help="The file to write, which must be new.", path="output-file")
    output_format: str = option(
        "text",
        "text or json: a line for each prediction; conll: the format of CoNLL, for tagging.",
        choices=OUTPUT_FORMATS,
    )
    resume: bool = option(False, "Continue an interrupted command, with the same other options.", remembered=False)


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class ExtractFeaturesOptions(Options):
    """The options of `kbert.extract_features`.

    Example:
        >>> kbert.ExtractFeaturesOptions(layers="last4").pooling
        'mean'
    """

    layers: str | Collection[int] = option(
        "-1",
        "The layers of features, such as -1 or 1,2 or last4; the vectors of several layers are concatenated.",
        details="0 is the embeddings, 1 to N are the blocks, and -1 is the last block. In Python this can also be a "
        "collection of numbers.",
    )
    pooling: str = option(
        "mean",
        "How the vectors of the tokens are combined; none gives the vectors of all tokens, including [CLS] and [SEP].",
        choices=(*POOLINGS, "none"),
    )
    sequence_length: int | None = option(
        None,
        "The maximum number of tokens of a text for features; longer texts are truncated at the end.",
        default_help="as in fine-tuning, or as in the files of the model, or its number of positions",
        minimum=5,
    )
    batch_size: int = option(64, "The number of texts that are processed together.", minimum=1)
