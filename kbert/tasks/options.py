"""The options of each task, as fields of a dataclass (kbert.options). This module does not import TensorFlow.

Options with `reading=True` describe the format of a file. They can differ between files, and a model remembers those of
its training file.
"""

from __future__ import annotations

import dataclasses
import os

from kbert.model_folder.sentence_transformers import POOLINGS
from kbert.options import Options, option
from kbert.sources.table_format import QUOTINGS, ROW_FORMATS, TableFormat


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskOptions(Options):
    """The base class of the options of a task."""

    @property
    def table_format(self) -> TableFormat:
        """The format of files of rows."""
        return TableFormat()


@dataclasses.dataclass(frozen=True, kw_only=True)
class TableOptions(TaskOptions):
    """The format of files of rows."""

    format: str = option(
        "auto",
        "The format of the file; auto looks at how the file begins, and at its suffix.",
        choices=ROW_FORMATS,
        reading=True,
        remembered=False,
    )
    delimiter: str | None = option(
        None, "The character between cells.", default_help="by the suffix of the file", reading=True
    )
    encoding: str = option("utf-8", "The encoding of the file, such as latin-1 or gb18030.", reading=True)
    quoting: str = option(
        "auto",
        "Whether quotation marks enclose cells (csv) or are text (none); auto is csv for .csv files.",
        choices=QUOTINGS,
        reading=True,
    )

    @property
    def table_format(self) -> TableFormat:
        """The format of files of rows.

        Raises:
            UsageError: The delimiter is invalid, or Python does not know the encoding.
        """
        return TableFormat(self.delimiter, self.encoding, self.quoting, self.format)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelOptions(TableOptions):
    """The format of files of rows with labels."""

    missing_labels: str = option(
        "pandas",
        "The cells that count as missing labels: those of pandas (nan, NA, None, null …), or empty ones only.",
        choices=("pandas", "empty"),
        reading=True,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CollectionOptions(TableOptions):
    """The files of a collection of documents, queries and judgements."""

    documents: str | os.PathLike[str] | None = option(
        None,
        "The file of the documents that the judgements are about.",
        default_help="the files are tables",
        path="file",
        reading=True,
        remembered=False,
    )
    queries: str | os.PathLike[str] | None = option(
        None, "The file of the queries that the judgements are about.", path="file", reading=True, remembered=False
    )

    @property
    def has_judgements(self) -> bool:
        """Whether the files are judgements of documents, rather than tables."""
        return bool(self.documents or self.queries)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassificationOptions(LabelOptions):
    """The options of classification."""

    class_weights: str | None = option(
        None, 'The weights of classes in the loss: "balanced", or LABEL=WEIGHT,LABEL=WEIGHT; other labels weigh 1.'
    )
    label_smoothing: float = option(0.0, "The part of each target that is spread over all labels.", minimum=0, below=1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MultilabelOptions(LabelOptions):
    """The options of multilabel classification."""

    label_separator: str = option(
        "|", "The text between labels; JSON lines may have lists.", valid=bool, expected="a text", reading=True
    )
    label_columns: str | None = option(
        None, "Columns of 0 and 1, one for each label, instead of a column of labels.", reading=True
    )
    class_weights: str | None = option(
        None, 'The weights of texts that have a label: "balanced", or LABEL=WEIGHT,LABEL=WEIGHT.'
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class RegressionOptions(TableOptions):
    """The options of regression."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MultipleChoiceOptions(TableOptions):
    """The options of multiple choice."""

    label_format: str = option(
        "auto",
        "How labels name the right choice: by a number from 0 or from 1, a letter from A, or its text.",
        choices=("auto", "0", "1", "letter", "text"),
        reading=True,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpanOptions(TableOptions):
    """The options of files with spans of characters."""

    offsets: str = option(
        "characters",
        "The unit of the offsets of spans: characters, units of UTF-16 (JavaScript, Java), or bytes of UTF-8.",
        choices=("characters", "utf-16", "utf-8"),
        reading=True,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class RelationOptions(SpanOptions):
    """The options of relations."""

    no_relation: str | None = option(
        None,
        "The label of pairs without a relation, which the F1 leaves out.",
        default_help="Other, no_relation, NA, unknown or None, if there is such a label",
    )
    class_weights: str | None = option(
        None, 'The weights of relations in the loss: "balanced", or LABEL=WEIGHT,LABEL=WEIGHT; other labels weigh 1.'
    )
    label_smoothing: float = option(0.0, "The part of each target that is spread over all labels.", minimum=0, below=1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SemanticRolesOptions(SpanOptions):
    """The options of semantic roles."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaggingOptions(SpanOptions):
    """The options of tagging."""

    scheme: str = option("iob2", "The scheme of the model's tags.", choices=("io", "iob2", "bioes"))
    tag_scheme: str = option(
        "auto",
        "The scheme of the tags in the files; words: each tag belongs to a single word, such as its part of speech.",
        choices=("auto", "io", "iob1", "iob2", "bioes", "bmes", "words"),
        reading=True,
    )
    strict_tags: bool = option(
        False,
        "Refuse tags that break their scheme, such as an I- after an O, instead of repairing them.",
        reading=True,
    )
    crf: bool = option(False, "Let a CRF choose the tags of a text together.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuestionAnsweringOptions(TableOptions):
    """The options of question answering."""

    stride: int | None = option(
        None,
        "The number of tokens that neighbouring windows over a context share.",
        default_help="a third of a window",
        minimum=0,
    )
    max_answer_length: int | None = option(
        None,
        "The length of the longest answer in tokens.",
        default_help="covers 99 % of the training answers, at least 30",
        minimum=1,
    )
    n_best: int = option(5, "The number of answers to a question.", minimum=1)
    by_characters: str = option(
        "auto",
        "Whether answers are measured by characters, as CMRC does, or by words, as SQuAD does.",
        choices=("auto", "yes", "no"),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class EmbeddingOptions(CollectionOptions):
    """The options of embedding."""

    objective: str | None = option(
        None,
        "The training objective: to find each text's pair among those of the batch, to put triplets in order, to "
        "predict scores, or (SimCSE) to recognize a text.",
        default_help="as the columns allow",
        choices=("pairs", "triplets", "scores", "unsupervised"),
    )
    pooling: str | None = option(
        None,
        "The vector of a text: the mean over its tokens, the vector of [CLS], or the maximum.",
        default_help="that of the model, else mean",
        choices=POOLINGS,
    )
    prompt: str | None = option(
        None, "The text that is put before each text, such as 'query: '.", default_help="that of the model"
    )
    pair_prompt: str | None = option(
        None, "The prompt of pairs and negatives, such as 'passage: '.", default_help="as `prompt`"
    )
    temperature: float = option(0.05, "The temperature of the softmax over the texts of a batch.", above=0)
    margin: float = option(0.2, "The margin of triplets, as a cosine.", above=0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RankingOptions(CollectionOptions):
    """The options of ranking."""

    loss: str = option(
        "softmax",
        "The loss: over all candidates of a query together (softmax), or over each candidate by itself (sigmoid).",
        choices=("softmax", "sigmoid"),
    )
    candidates: int = option(
        10, "The number of candidates of a query, if wrong candidates are drawn.", minimum=2, reading=True
    )
    negatives: int | None = option(
        None, "The number of wrong candidates of a query in training.", default_help="all", minimum=1
    )
    turns: int = option(4, "The number of turns before a response that are read.", minimum=1, reading=True)
    responder: str | None = option(None, "The speaker whose turns are responses.", default_help="any", reading=True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SummarizationOptions(TableOptions):
    """The options of summarization."""

    sentences: int = option(3, "The number of sentences of a summary.", minimum=1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GenerationOptions(TableOptions):
    """The options of generation."""

    target_ending: str | None = option(
        None,
        "The texts are the lines of files, and their targets the lines of the files with this ending beside them: with "
        "en, train.en has the targets of train.de.",
        reading=True,
    )
    max_target: int | None = option(
        None,
        "The largest number of tokens of an answer. Longer targets are learnt up to it.",
        default_help="covers 99 % of the training targets, at most half of the sequence length",
        minimum=1,
    )
    label_smoothing: float = option(
        0.1, "The part of each target token that is spread over the vocabulary.", minimum=0, below=1
    )
    target_masks: float = option(
        0.1,
        "The part of the target tokens that are replaced by random ones when the model reads them in training, so that "
        "it learns to go on after an error of its own.",
        minimum=0,
        below=1,
    )
