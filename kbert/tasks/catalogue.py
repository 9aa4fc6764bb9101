"""The catalogue of tasks: kbert's own tasks, and those of other packages.

The command line is made from the catalogue. This module does not import TensorFlow, so that `kbert finetune TASK
--help` answers quickly. Another package adds a task by an entry point of the group "kbert.tasks" that names a TaskInfo
(docs/adding-a-task.md).
"""

from __future__ import annotations

import functools
import importlib.metadata
import logging
from collections.abc import Iterator, Mapping

from kbert.errors import UsageError, shown
from kbert.options import OptionInfo
from kbert.tasks.options import (
    ClassificationOptions,
    EmbeddingOptions,
    GenerationOptions,
    MultilabelOptions,
    MultipleChoiceOptions,
    QuestionAnsweringOptions,
    RankingOptions,
    RegressionOptions,
    RelationOptions,
    SemanticRolesOptions,
    SummarizationOptions,
    TaggingOptions,
)
from kbert.tasks.task_info import Column, TaskInfo

ENTRY_POINT_GROUP = "kbert.tasks"
_LOG = logging.getLogger("kbert")
_NAMED_OR_NUMBERED = "a name, or a 1-based number."

_TEXT = Column("text", f"Column of texts: {_NAMED_OR_NUMBERED}", "text")
_PAIR = Column("pair", "Column of second texts, for a task of pairs.  [default: pair, if there is one]", usual="pair")
_LABEL = Column("label", "Column of labels.", "label", target=True)

_DOCUMENTS = ("document", "article", "text", "dialogue", "source", "content", "body", "report", "story")
_SUMMARIES = ("summary", "highlights", "abstract", "target", "tldr", "headline")
"""The usual names of documents and of their summaries, in any combination."""

_ABSTENTION = frozenset({"abstain_below", "target_risk"})
_CALIBRATION = frozenset({"calibrate"}) | _ABSTENTION
_AUGMENTATION = frozenset({"augment", "synonyms", "augment_copies"})
_PRIVACY = frozenset({"private", "delta", "clip", "draw_size"})
_ROUNDING = frozenset({"quantize_aware"})

_BUILT_IN: Mapping[str, TaskInfo] = {
    info.name: info
    for info in (
        TaskInfo(
            "classification",
            "kbert.tasks.classification:ClassificationTask",
            "one label for each text or pair of texts",
            metrics=("accuracy", "f1", "mcc", "cross_entropy", "calibration_error"),
            columns=(_TEXT, _PAIR, _LABEL),
            options=ClassificationOptions,
        ),
        TaskInfo(
            "multilabel",
            "kbert.tasks.multilabel:MultilabelTask",
            "any number of labels for each text or pair of texts",
            metrics=("f1_micro", "f1_macro", "subset_accuracy", "hamming_loss", "cross_entropy"),
            columns=(_TEXT, _PAIR, _LABEL),
            options=MultilabelOptions,
            unsupported=_ABSTENTION,
        ),
        TaskInfo(
            "regression",
            "kbert.tasks.regression:RegressionTask",
            "a number for each text or pair of texts",
            metrics=("mse", "mae", "pearson", "spearman"),
            columns=(_TEXT, _PAIR, Column("label", "Column of numbers.", "label", target=True)),
            options=RegressionOptions,
            unsupported=_CALIBRATION,
        ),
        TaskInfo(
            "multiple-choice",
            "kbert.tasks.multiple_choice:MultipleChoiceTask",
            "the right one of several choices, such as endings of a text",
            metrics=("accuracy", "cross_entropy", "calibration_error"),
            columns=(
                Column("prompt", f"Column of prompts, which all choices follow: {_NAMED_OR_NUMBERED}", "prompt"),
                Column("choices", "Columns of choices, such as 3-6 or a,b,c; in JSON lines, a list's key.", "choices"),
                Column("label", "Column of the right choice: its number, letter or text.", "label", target=True),
            ),
            options=MultipleChoiceOptions,
            unsupported=_AUGMENTATION,
        ),
        TaskInfo(
            "tagging",
            "kbert.tasks.tagging:TaggingTask",
            "spans of a text with types, such as named entities, or a tag for each word, such as its part of speech",
            metrics=("f1", "precision", "recall", "macro_f1", "accuracy"),
            data="CoNLL, CoNLL-U, JSON lines with character offsets, or a table of words and tags",
            columns=(
                Column("text", f"Column, or key, of texts: {_NAMED_OR_NUMBERED}"),
                Column("label", "Column, or key, of spans or tags.", target=True),
                Column("sentence", "Column that identifies sentences, in a table with one word in each row."),
            ),
            options=TaggingOptions,
            unsupported=_CALIBRATION | _AUGMENTATION,
        ),
        TaskInfo(
            "question-answering",
            "kbert.tasks.question_answering:QuestionAnsweringTask",
            "the part of a context that answers a question",
            metrics=("f1", "exact_match"),
            data="A SQuAD file (1.1 or 2.0), or JSON lines or a table with question, context and answers,",
            columns=(
                Column("question", "Column, or key, of questions.", "question"),
                Column("context", "Column, or key, of contexts.", "context"),
                Column("answers", "Column, or key, of answers.", "answers", target=True),
            ),
            options=QuestionAnsweringOptions,
            sequence_length=384,
            unsupported=_CALIBRATION | _AUGMENTATION,
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
            data="CSV, TSV, JSON lines, Excel, Parquet or a dataset by name, text files with one text per line, or "
            "judgements (with --documents)",
            columns=(
                Column("text", f"Column of texts, or queries: {_NAMED_OR_NUMBERED}", "text"),
                Column("pair", "Column of similar texts, or of answers to the query.", target=True, usual="pair"),
                Column("negative", "Column of texts that do not match the text.", target=True, usual="negative"),
                Column("score", "Column of numbers: the similarity of text and pair.", target=True, usual="score"),
            ),
            options=EmbeddingOptions,
            usual_columns=(
                {"text": "text", "pair": "pair", "score": "score"},
                {"text": "text", "pair": "pair", "score": "label"},
                {"text": "sentence1", "pair": "sentence2", "score": "score"},
                {"text": "sentence1", "pair": "sentence2", "score": "label"},
                {"text": "sentence1", "pair": "sentence2"},
                {"text": "anchor", "pair": "positive", "negative": "negative"},
                {"text": "anchor", "pair": "positive"},
                {"text": "query", "pair": "pos", "negative": "neg"},
                {"text": "query", "pair": "pos"},
                {"text": "query", "pair": "positive_passages", "negative": "negative_passages"},
                {"text": "query", "pair": "positive_passages"},
                {"text": "query", "pair": "positive", "negative": "negative"},
                {"text": "query", "pair": "positive"},
            ),
            unsupported=_CALIBRATION | _AUGMENTATION | _PRIVACY,
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
                    "Column of labels: 0 for a wrong candidate, 1 or more for a right one; for a list of candidates, "
                    "the index of the right one. Without labels all candidates are right, and wrong ones are drawn.  "
                    "[default: label, if there is one]",
                    target=True,
                    usual="label",
                ),
            ),
            options=RankingOptions,
            unsupported=_CALIBRATION | _AUGMENTATION,
        ),
        TaskInfo(
            "semantic-roles",
            "kbert.tasks.semantic_roles:SemanticRolesTask",
            "the predicates of a text, their senses, and the spans of their roles",
            metrics=("f1", "f1_given", "f1_srl_eval", "predicate_f1", "sense_accuracy_given"),
            data="JSON lines with character offsets, CoNLL-2005 or CoNLL-2012 columns, or CoNLL-U with roles",
            columns=(
                Column("text", f"Column, or key, of texts: {_NAMED_OR_NUMBERED}", "text"),
                Column("predicates", "Key of predicates.", "predicates", target=True),
            ),
            options=SemanticRolesOptions,
            unsupported=_CALIBRATION | _AUGMENTATION | _PRIVACY | _ROUNDING,
        ),
        TaskInfo(
            "relations",
            "kbert.tasks.relations:RelationsTask",
            "the relation between two entities of a text",
            metrics=("f1", "micro_f1", "accuracy", "cross_entropy", "calibration_error"),
            data="JSON lines with spans, a table of texts and entities, or the text of SemEval-2010 task 8",
            columns=(
                Column("text", f"Column of texts: {_NAMED_OR_NUMBERED}", "text"),
                Column(
                    "head", "Column of heads: spans, or their texts.  [default: head, if there is one]", usual="head"
                ),
                Column(
                    "tail", "Column of tails: spans, or their texts.  [default: tail, if there is one]", usual="tail"
                ),
                Column("relation", "Column of relations.", "relation", target=True),
            ),
            options=RelationOptions,
            unsupported=_CALIBRATION | _AUGMENTATION | _ROUNDING,
        ),
        TaskInfo(
            "summarization",
            "kbert.tasks.summarization:SummarizationTask",
            "the sentences of a document that sum it up",
            metrics=("rougeL", "rougeLsum", "rouge1", "rouge2", "precision"),
            data="JSON lines of documents, with labels of their sentences or summaries",
            columns=(
                Column("text", "Key of documents: lists of sentences, or texts.", "text"),
                Column("label", "Key of labels: 1 for a sentence of the summary, else 0.", target=True, usual="label"),
                Column("summary", "Key of reference summaries.", target=True, usual="summary"),
            ),
            options=SummarizationOptions,
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
                *({"text": text, "summary": summary} for text in _DOCUMENTS for summary in _SUMMARIES),
            ),
            sequence_length=512,
            unsupported=_CALIBRATION | _AUGMENTATION,
        ),
        TaskInfo(
            "generation",
            "kbert.tasks.generation:GenerationTask",
            "a new text for each text, such as its translation, its title, a summary or a reply",
            metrics=("chrf", "bleu", "rougeL", "rouge1", "rouge2"),
            data="CSV, TSV, JSON lines, Excel, Parquet or a dataset by name, or parallel files (with --target-ending)",
            columns=(
                _TEXT,
                Column("target", "Column of the texts to generate.", "target", target=True),
            ),
            options=GenerationOptions,
            usual_columns=(
                {"text": "source", "target": "target"},
                {"text": "src", "target": "tgt"},
                {"text": "input", "target": "output"},
                {"text": "input", "target": "target"},
                {"text": "text", "target": "summary"},
                {"text": "text", "target": "title"},
                {"text": "abstract", "target": "title"},
                *({"text": text, "target": summary} for text in _DOCUMENTS for summary in _SUMMARIES),
            ),
            unsupported=_CALIBRATION | _AUGMENTATION | _PRIVACY | _ROUNDING,
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
            except Exception as problem:  # an error in another package must not break kbert's own tasks
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
    """Returns the description of a task.

    Raises:
        UsageError: There is no task of that name.
    """
    if name not in TASKS:
        raise UsageError(f"there is no task {shown(name)}; there are: {', '.join(TASKS)}")
    return TASKS[name]


def all_reading_options() -> dict[str, OptionInfo]:
    """Returns the options of all tasks that describe the format of files, by name, for commands that take any model."""
    return {each.name: each for info in TASKS.values() for each in info.option_infos.values() if each.reading}


def all_columns() -> dict[str, Column]:
    """Returns the columns of all tasks, by role, for commands that take any model."""
    return {column.role: column for info in reversed(list(TASKS.values())) for column in info.columns}
