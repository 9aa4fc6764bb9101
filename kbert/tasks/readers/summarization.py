"""Reads documents with labels of sentences or with summaries, from JSON lines, tables and text files."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from kbert.corpus.sentences import split_sentences
from kbert.errors import DataError, UsageError, shown
from kbert.files import PathLike
from kbert.sources.bad_rows import BadRows
from kbert.sources.rows import read_objects
from kbert.sources.table_format import TableFormat, file_kind
from kbert.tasks.readers.tables import column_names, read_table


@dataclasses.dataclass(frozen=True)
class SummarizationExample:
    """A document and its summary.

    Args:
        sentences: The sentences of the document.
        labels: For each sentence, 1 if it belongs to the summary, else 0; empty if the file has no labels.
        references: The reference summaries.
        line: The 1-based line of the file; 0 for none.
    """

    sentences: tuple[str, ...]
    labels: tuple[int, ...] = ()
    references: tuple[str, ...] = ()
    line: int = 0


def read_summaries(
    path: PathLike, columns: Mapping[str, str], *, form: TableFormat, targets: bool, bad: BadRows
) -> Iterator[SummarizationExample]:
    """Yields the documents of a file.

    A document that is a text is split into sentences. If a document has no summary, the sentences with the label 1 are
    its reference summary.

    Args:
        path: JSON lines, a table, or a text file with one document per line.
        columns: The columns of the role "text" and of the optional roles "label" and "summary".
        form: The format of the file.
        targets: Whether labels and summaries are read.
        bad: Counts the documents that are skipped.

    Raises:
        UsageError: Targets are read, but `columns` has neither "label" nor "summary".
        DataError: A document is invalid, with file and line.
    """
    if targets and "label" not in columns and "summary" not in columns:
        raise UsageError(
            f"{path}: summarization learns from labels of sentences or from summaries: name their column with "
            f"--label-column or --summary-column. Received {_received(path, form)}"
        )
    for line, values in _rows(path, columns, form, bad):
        try:
            yield _example(values, columns, targets, path, line)
        except DataError as problem:
            bad.skip(problem)


def _received(path: PathLike, form: TableFormat) -> str:
    """Describes the columns of a file, for messages."""
    names = list(column_names(path, form))
    return f"the columns {', '.join(map(shown, names[:20]))}" if names else "a text a line"


def _rows(
    path: PathLike, columns: Mapping[str, str], form: TableFormat, bad: BadRows
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yields the line and the values by column of each row."""
    if file_kind(path, form) == "json":
        yield from read_objects(path, form=form, bad=bad)
    elif not form.is_table(path):
        for number, text in form.numbered_lines(path, bad):
            yield number, {columns["text"]: text}
    else:
        for row in read_table(path, columns, form=form, bad=bad):
            yield row.line, {columns[role]: value for role, value in row.values.items()}


def _example(
    values: Mapping[str, Any], columns: Mapping[str, str], targets: bool, path: PathLike, line: int
) -> SummarizationExample:
    for role, column in columns.items():
        if column not in values:
            raise DataError(
                f"there is no key {column!r} for {role}; the object has {', '.join(map(repr, values))}", path, line
            )
    sentences = values[columns["text"]]
    if isinstance(sentences, str):
        sentences = list(split_sentences(sentences))
    if not targets and isinstance(sentences, list) and all(isinstance(text, str) for text in sentences):
        # Each document gets an answer: an empty one has no summary, and an empty sentence is never chosen.
        return SummarizationExample(tuple(text if text.strip() else "" for text in sentences), line=line)
    if isinstance(sentences, list) and (empty := [n for n, text in enumerate(sentences) if not str(text).strip()]):
        raise DataError(f"expected sentences that are not empty. Number {empty[0] + 1} is", path, line)
    if not _are_texts(sentences):
        raise DataError(f"expected a text, or a list of sentences. Received {shown(sentences)}", path, line)
    references = values[columns["summary"]] if "summary" in columns else []
    references = [references] if isinstance(references, str) else references
    if "summary" in columns and not _are_texts(references):
        raise DataError(f"expected a summary, or a list of them. Received {shown(references)}", path, line)
    labels: list[int] = []
    if "label" in columns:
        labels = values[columns["label"]]
        if not isinstance(labels, list) or len(labels) != len(sentences) or not all(each in (0, 1) for each in labels):
            raise DataError(
                f"expected a label of 0 or 1 for each of the {len(sentences)} sentences. Received {shown(labels)}",
                path,
                line,
            )
        if not any(labels) and not references:
            raise DataError("expected a sentence with the label 1. There is none", path, line)
    if not references:
        references = ["\n".join(" ".join(text.split()) for text, label in zip(sentences, labels, strict=True) if label)]
    return SummarizationExample(tuple(sentences), tuple(map(int, labels)), tuple(references), line)


def _are_texts(values: Any) -> bool:
    return isinstance(values, list) and bool(values) and all(isinstance(text, str) and text.strip() for text in values)
