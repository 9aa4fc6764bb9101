"""Texts, pairs, triplets and scored pairs, from tables, text files and judgements."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from kbert.errors import DataError, UsageError
from kbert.files import PathLike
from kbert.sources.bad_rows import BadRows
from kbert.tasks.options import EmbeddingOptions
from kbert.tasks.readers.judged_texts import read_judged
from kbert.tasks.readers.numbers import parse_number
from kbert.tasks.readers.tables import Row, read_table


@dataclasses.dataclass(frozen=True)
class EmbeddingExample:
    """A text, and other texts that are similar to it or not.

    Args:
        text: The text or the query.
        pair: A text of similar meaning, or one that answers the query; with a score, any text. None if there is none.
        negative: One or more texts that are not similar to the text; None if there are none.
        score: The similarity of text and pair, as in the file; None if the file has no scores.
        line: The 1-based line of the file; 0 for none.
    """

    text: str
    pair: str | None = None
    negative: str | tuple[str, ...] | None = None
    score: float | None = None
    line: int = 0


def read_embedding_examples(
    path: PathLike, columns: Mapping[str, str], options: EmbeddingOptions, bad: BadRows
) -> Iterator[EmbeddingExample]:
    """Yields the rows of a table, the lines of a text file, or (with the option `documents`) judgements.

    Args:
        path: The file, or a table in memory.
        columns: The columns of the roles "text", "pair", "negative" and "score"; all but "text" are optional.
        options: The options of the task.
        bad: Counts the rows that are skipped.

    Raises:
        UsageError: There is a column of negatives or scores, but none of pairs.
        DataError: A row is invalid, and `bad` does not allow for it.
    """
    form = options.table_format
    if options.has_judgements:
        judged, _ = read_judged(path, options.documents, options.queries, bad)
        for query, documents in judged:
            for document, gain in documents:
                if gain > 0:
                    yield EmbeddingExample(query.text, document.text, line=query.line)
    elif not form.is_table(path):
        for number, text in form.numbered_lines(path, bad):
            if text.strip():
                yield EmbeddingExample(text, line=number)
    else:
        for role in ("negative", "score"):
            if role in columns and "pair" not in columns:
                raise UsageError(f"a {role} needs the text it goes with: name the column of pairs (pair_column)")
        for row in read_table(path, columns, form=form, list_values=("pair", "negative"), bad=bad):
            try:
                yield from _examples(row, path)
            except DataError as problem:
                bad.skip(problem)


def _examples(row: Row, path: PathLike) -> Iterator[EmbeddingExample]:
    """Yields an example for each pair of a row, with all negatives of the row. Both may be lists."""
    values = row.values
    pairs, negatives = (_listed(values.get(role)) for role in ("pair", "negative"))
    for role, texts in (("text", [values["text"]]), ("pair", pairs), ("negative", negatives)):
        if role in values and (not texts or not all(text.strip() for text in texts)):
            raise DataError(f"expected a {role}. Received an empty one", path, row.line)
    score = None
    if "score" in values:
        try:
            score = parse_number(values["score"])
        except ValueError as problem:
            raise DataError(str(problem).replace("a number", "a number as score", 1), path, row.line) from None
    negative = None if not negatives else negatives[0] if len(negatives) == 1 else tuple(negatives)
    for pair in pairs or [None]:
        yield EmbeddingExample(values["text"], pair, negative, score, row.line)


def _listed(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]


def negatives_of(example: EmbeddingExample) -> tuple[str, ...]:
    """Returns the negatives of an example; there may be none."""
    if example.negative is None:
        return ()
    return (example.negative,) if isinstance(example.negative, str) else example.negative
