"""The tasks there are: kbert's own, and those of other packages. No TensorFlow here.

The command line is made of this, so that `kbert finetune TASK --help` answers at once. Another package adds a task by
an entry point of the group "kbert.tasks" that names a TaskInfo (docs/adding-a-task.md).
"""

from __future__ import annotations

import functools
import importlib.metadata
import logging
from collections.abc import Iterator, Mapping

from kbert.errors import UsageError, shown
from kbert.model_folder.sentence_transformers import POOLINGS
from kbert.tasks.task_info import Column, Option, TaskInfo

ENTRY_POINT_GROUP = "kbert.tasks"
_LOG = logging.getLogger("kbert")
_NAMED_OR_NUMBERED = "a name, or a 1-based number."

_TEXT = Column("text", f"Column of texts: {_NAMED_OR_NUMBERED}", "text")
_PAIR = Column("pair", "Column of second texts, for a task of pairs.  [default: pair, if there is one]", usual="pair")
_LABEL = Column("label", "Column of labels.", "label", target=True)
_ENCODING = Option("encoding", "Of the file, such as latin-1 or gb18030.", "utf-8", reading=True)
_FORMAT = (
    Option(
        "format",
        "Of the file; auto looks at how it begins, and at its ending.",
        "auto",
        choices=("auto", "text", "jsonl", "csv", "tsv", "parquet", "xlsx"),
        reading=True,
        remembered=False,
    ),
    Option("delimiter", "What stands between cells.  [default: by the ending of the file]", reading=True),
    _ENCODING,
    Option(
        "quoting",
        "Whether quotation marks enclose cells (csv) or are text (none); auto is csv for .csv files.",
        "auto",
        choices=("auto", "csv", "none"),
        reading=True,
    ),
)

_MISSING_LABELS = Option(
    "missing_labels",
    "Cells without a label: the spellings of pandas (nan, NA, None, null …), or empty cells alone.",
    "pandas",
    choices=("pandas", "empty"),
    reading=True,
)

_COLLECTION = (
    Option(
        "documents",
        "The documents that judgements are about.  [default: the files are tables]",
        reading=True,
        file=True,
    ),
    Option("queries", "The queries that judgements are about.", reading=True, file=True),
)

_BUILT_IN: Mapping[str, TaskInfo] = {
    info.name: info
    for info in (
        TaskInfo(
            "classification",
            "kbert.tasks.classification:ClassificationTask",
            "one label a text, or a pair of texts",
            metrics=("accuracy", "f1", "mcc", "cross_entropy", "calibration_error"),
            columns=(_TEXT, _PAIR, _LABEL),
            options=(
                Option("class_weights", '"balanced", or LABEL=WEIGHT,LABEL=WEIGHT; those not named weigh 1.'),
                Option("label_smoothing", "Part of each target that is spread over all labels.", 0.0),
                _MISSING_LABELS,
                *_FORMAT,
            ),
        ),
        TaskInfo(
            "multilabel",
            "kbert.tasks.multilabel:MultilabelTask",
            "any number of labels a text, or a pair of texts",
            metrics=("f1_micro", "f1_macro", "subset_accuracy", "hamming_loss", "cross_entropy"),
            columns=(_TEXT, _PAIR, _LABEL),
            options=(
                Option("label_separator", "What stands between labels; JSON lines may have lists.", "|", reading=True),
                Option("label_columns", "Columns of 0 and 1, one a label, in place of a label column.", reading=True),
                Option("class_weights", '"balanced", or LABEL=WEIGHT,LABEL=WEIGHT: of texts that have the label.'),
                _MISSING_LABELS,
                *_FORMAT,
            ),
        ),
        TaskInfo(
            "regression",
            "kbert.tasks.regression:RegressionTask",
            "a number a text, or a pair of texts",
            metrics=("mse", "mae", "pearson", "spearman"),
            columns=(_TEXT, _PAIR, Column("label", "Column of numbers.", "label", target=True)),
            options=_FORMAT,
        ),
        TaskInfo(
            "multiple-choice",
            "kbert.tasks.multiple_choice:MultipleChoiceTask",
            "the right one of several choices, such as endings of a text",
            metrics=("accuracy", "cross_entropy", "calibration_error"),
            columns=(
                Column("prompt", f"Column of what all choices follow: {_NAMED_OR_NUMBERED}", "prompt"),
                Column("choices", "Columns of choices, such as 3-6 or a,b,c; of JSON lines a list's key.", "choices"),
                Column("label", "Column of the right choice: its number, letter or text.", "label", target=True),
            ),
            options=(
                Option(
                    "label_format",
                    "How labels name the right choice: by a number from 0 or from 1, a letter from A, or its text.",
                    "auto",
                    choices=("auto", "0", "1", "letter", "text"),
                    reading=True,
                ),
                *_FORMAT,
            ),
        ),
        TaskInfo(
            "tagging",
            "kbert.tasks.tagging:TaggingTask",
            "spans of a text with types, such as named entities",
            metrics=("f1", "precision", "recall"),
            data="CoNLL, JSON lines with character offsets, or a table of words and tags",
            columns=(
                Column("text", f"Column, or key, of texts: {_NAMED_OR_NUMBERED}"),
                Column("label", "Column, or key, of spans or tags.", target=True),
                Column("sentence", "Column that tells sentences apart, in a table with a word a row."),
            ),
            options=(
                Option("scheme", "How the model tags.", "iob2", choices=("io", "iob2", "bioes")),
                Option(
                    "tag_scheme",
                    "How files are tagged.",
                    "auto",
                    choices=("auto", "io", "iob1", "iob2", "bioes", "bmes"),
                    reading=True,
                ),
                Option(
                    "strict_tags",
                    "Refuse tags that break their scheme, such as an I- after an O, instead of repairing them.",
                    False,
                    reading=True,
                ),
                Option("crf", "Let a CRF choose the tags of a text together.", False),
                Option(
                    "offsets",
                    "What the offsets of spans count: characters, units of UTF-16 (JavaScript, Java), or bytes.",
                    "characters",
                    choices=("characters", "utf-16", "utf-8"),
                    reading=True,
                ),
                *_FORMAT,
            ),
        ),
        TaskInfo(
            "question-answering",
            "kbert.tasks.question_answering:QuestionAnsweringTask",
            "the part of a context that answers a question",
            metrics=("f1", "exact_match"),
            data="A SQuAD file (1.1 or 2.0), or JSON lines with question, context and answers,",
            columns=(
                Column("question", "Column, or key, of questions.", "question"),
                Column("context", "Column, or key, of contexts.", "context"),
                Column("answers", "Key of answers.", "answers", target=True),
            ),
            options=(
                Option(
                    "stride", "Tokens that neighbouring windows over a context share.  [default: a third]", kind=int
                ),
                Option(
                    "max_answer_length",
                    "Longest answer in tokens.  [default: covers 99 % of the training answers, at least 30]",
                    kind=int,
                ),
                Option("n_best", "Answers to give for a question.", 5),
                Option(
                    "by_characters",
                    "Measure answers by characters, as CMRC does, or by words, as SQuAD does.",
                    "auto",
                    choices=("auto", "yes", "no"),
                ),
                *_FORMAT,
            ),
            sequence_length=384,
        ),
        TaskInfo(
            "fill-mask",
            "kbert.tasks.fill_mask:FillMaskTask",
            "the likeliest pieces for each [MASK] of a text",
            columns=(Column("text", f"Column of texts: {_NAMED_OR_NUMBERED}", "text"),),
            trainable=False,
        ),
        TaskInfo(
            "embedding",
            "kbert.tasks.embedding:EmbeddingTask",
            "vectors of texts, for search and similarity",
            metrics=("mrr", "recall@1", "recall@5", "recall@10", "ndcg@10", "spearman", "pearson"),
            data="CSV, TSV or JSON lines of pairs, a text a line, or judgements (with --documents)",
            columns=(
                Column("text", f"Column of texts, or queries: {_NAMED_OR_NUMBERED}", "text"),
                Column("pair", "Column of texts of like meaning, or that answer the query.", target=True, usual="pair"),
                Column("negative", "Column of texts that are no such pair.", target=True, usual="negative"),
                Column("score", "Column of numbers: how alike text and pair are.", target=True, usual="score"),
            ),
            options=(
                Option(
                    "objective",
                    "What is learnt: to find each text's pair among those of the batch, to put triplets in order, to "
                    "meet scores, or (SimCSE) to know a text again.  [default: as the columns allow]",
                    choices=("pairs", "triplets", "scores", "unsupervised"),
                ),
                Option(
                    "pooling",
                    "A text's vector: the mean over its tokens, the vector of [CLS], or the maximum.  "
                    "[default: that of the model, else mean]",
                    choices=POOLINGS,
                ),
                Option("prompt", "Text that is put before each text, such as 'query: '.  [default: that of the model]"),
                Option("pair_prompt", "Prompt of pairs and negatives, such as 'passage: '.  [default: --prompt]"),
                Option("temperature", "Of the softmax over the texts of a batch.", 0.05),
                Option("margin", "Of triplets, in cosine.", 0.2),
                *_COLLECTION,
                *_FORMAT,
            ),
            usual_columns=(
                {"text": "sentence1", "pair": "sentence2", "score": "score"},
                {"text": "sentence1", "pair": "sentence2", "score": "label"},
                {"text": "sentence1", "pair": "sentence2"},
                {"text": "anchor", "pair": "positive", "negative": "negative"},
                {"text": "anchor", "pair": "positive"},
                {"text": "query", "pair": "pos", "negative": "neg"},
                {"text": "query", "pair": "pos"},
                {"text": "query", "pair": "positive", "negative": "negative"},
                {"text": "query", "pair": "positive"},
            ),
        ),
        TaskInfo(
            "ranking",
            "kbert.tasks.ranking:RankingTask",
            "the best of several candidates for a query, or for a dialogue so far",
            metrics=("mrr", "recall@1", "recall@5", "recall@10", "ndcg@10"),
            data="A table of query, candidate and label; JSON lines of queries or dialogues; or judgements "
            "(with --documents)",
            columns=(
                Column("query", "Column, or key, of queries.", "query"),
                Column("candidate", "Column of candidates, or key of a list of them.", "candidate"),
                Column(
                    "label",
                    "Column of labels: 1 (or more, the better) for a right candidate, 0; of a list its right place. "
                    "Without it all candidates of the file are right, and wrong ones are drawn from it.  "
                    "[default: label, if there is one]",
                    target=True,
                    usual="label",
                ),
            ),
            options=(
                Option(
                    "loss",
                    "Judge the candidates of a query together, or each by itself.",
                    "softmax",
                    choices=("softmax", "sigmoid"),
                ),
                Option("candidates", "Candidates a query, where wrong ones are drawn.", 10, reading=True),
                Option("negatives", "Wrong candidates a query in training.  [default: all]", kind=int),
                Option("turns", "Turns of a dialogue before a response that are read.", 4, reading=True),
                Option("responder", "The speaker whose turns are responses.  [default: any]", reading=True),
                *_COLLECTION,
                *_FORMAT,
            ),
        ),
        TaskInfo(
            "summarization",
            "kbert.tasks.summarization:SummarizationTask",
            "the sentences of a document that sum it up",
            metrics=("rougeL", "rouge1", "rouge2", "precision"),
            data="JSON lines of documents, with labels of their sentences or summaries",
            columns=(
                Column("text", "Key of documents: lists of sentences, or texts.", "text"),
                Column("label", "Key of labels: 1 for a sentence of the summary, 0.", target=True, usual="label"),
                Column("summary", "Key of reference summaries.", target=True, usual="summary"),
            ),
            options=(Option("sentences", "Sentences a summary.", 3), *_FORMAT),
            usual_columns=(
                {"text": "source", "label": "source_labels", "summary": "target"},
                {"text": "source", "summary": "target"},
                {"text": "article", "summary": "highlights"},
                {"text": "article", "summary": "abstract"},
                {"text": "article", "summary": "summary"},
                {"text": "document", "summary": "summary"},
                {"text": "text", "summary": "target"},
                {"text": "text", "summary": "highlights"},
                {"text": "dialogue", "summary": "summary"},
            ),
            sequence_length=512,
        ),
    )
}


class _Catalogue(Mapping[str, TaskInfo]):
    """The tasks by name, kbert's own first. Entry points are read when the catalogue is first used."""

    @functools.cached_property
    def _tasks(self) -> dict[str, TaskInfo]:
        found = dict(_BUILT_IN)
        for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
            try:
                info = point.load()
            except Exception as problem:  # whatever another package does, kbert's own tasks work
                _LOG.warning("the task %s of %s is left out: %s", point.name, point.value, problem)
                continue
            if not isinstance(info, TaskInfo) or info.name in found:
                _LOG.warning(
                    "the task %s of %s is left out: expected a kbert.tasks.task_info.TaskInfo with a name of its own. "
                    "Received: %s",
                    point.name,
                    point.value,
                    shown(getattr(info, "name", info)),
                )
                continue
            found[info.name] = info
        return found

    def __getitem__(self, name: str) -> TaskInfo:
        return self._tasks[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tasks)

    def __len__(self) -> int:
        return len(self._tasks)


TASKS: Mapping[str, TaskInfo] = _Catalogue()


def task_info(name: str) -> TaskInfo:
    """What is known of a task.

    Raises:
        UsageError: There is no task of that name.
    """
    if name not in TASKS:
        raise UsageError(f"there is no task {shown(name)}; there are: {', '.join(TASKS)}")
    return TASKS[name]


def all_reading_options() -> dict[str, Option]:
    """The options of all tasks that say how a file is to be read, by name: what commands that take any model offer."""
    return {option.name: option for info in TASKS.values() for option in info.options if option.reading}


def all_columns() -> dict[str, Column]:
    """The columns of all tasks by role: what commands that take any model offer."""
    return {column.role: column for info in reversed(list(TASKS.values())) for column in info.columns}
