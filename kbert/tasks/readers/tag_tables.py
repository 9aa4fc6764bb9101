"""Reads tables of words and tags, and tables of texts with spans."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kbert import files
from kbert.errors import DataError
from kbert.sources.bad_rows import BadRows
from kbert.sources.table_format import TableFormat
from kbert.tasks.readers.label_lists import parse_list
from kbert.tasks.readers.span_exports import read_spans
from kbert.tasks.readers.tables import first_row, read_table
from kbert.tasks.readers.tag_columns import LABEL_NAMES, TEXT_NAMES, WHOLE_TEXT_NAMES, chosen_columns, text_name
from kbert.tasks.readers.tag_schemes import OUTSIDE
from kbert.tasks.readers.tagged_texts import TaggedText
from kbert.tasks.readers.tagged_words import Sentence

_SEPARATOR = "\x02"
"""The separator of words and of tags in the cells of some published tables."""
_QUOTED_LIST = re.compile(r"""\[\s*(['"]).*['"]\s*\]""", re.DOTALL)
"""A list of texts in a cell, such as ['Ada', 'left'] or, without commas, ['Ada' 'left'] as NumPy writes it."""

_WORD = re.compile(r"\S+")


@dataclasses.dataclass(frozen=True)
class WordRow:
    """A row of a table.

    Args:
        words: The words.
        tags: Their tags.
        sentence: The id of the sentence that the words belong to; "" if there is none.
        line: The 1-based line of the row.
        text: The text, whose words white space separates; "" if the row has a list of words.
    """

    words: list[str]
    tags: list[str]
    sentence: str
    line: int
    text: str = ""

    def sentence_alone(self, targets: bool) -> Sentence | TaggedText:
        """Returns the sentence of this row alone; if no tags are needed, its text as the file has it."""
        if targets or (self.words and not self.text):
            return Sentence(self.words, self.tags, [self.line] * len(self.words))
        return TaggedText(self.text, None, self.line, tuple(word.span() for word in _WORD.finditer(self.text)))


def has_header(path: files.PathLike, form: TableFormat, columns: Mapping[str, str]) -> bool:
    """Returns whether a file is a table with a header: the user names columns, or the first row has a usual name."""
    return bool(columns) or text_name(first_row(path, form)) is not None


def table_rows(
    path: files.PathLike, form: TableFormat, columns: Mapping[str, str], targets: bool, bad: BadRows
) -> Iterator[WordRow]:
    """Yields the rows of a table whose cells hold words and their tags, each as a list or separated by spaces.

    Args:
        path: The table.
        form: The format of the table.
        columns: The columns that the user gave, by role.
        targets: Whether tags are read; without them all tags are O.
        bad: Counts the rows that are skipped.

    Raises:
        DataError: A row is invalid, with file and line.
    """
    chosen = chosen_columns(columns, first_row(path, form))
    if columns and all(name.isdecimal() for name in columns.values()):
        chosen = {role: columns.get(role) for role in ("text", "label", "sentence")}
    chosen = {"text": chosen["text"] or TEXT_NAMES[0], "label": chosen["label"] or LABEL_NAMES[0], **_others(chosen)}
    if not targets:
        del chosen["label"]
    for row in read_table(path, {role: name for role, name in chosen.items() if name}, form=form, bad=bad):
        try:
            words, tags = words_and_tags(row.values["text"], row.values["label"] if targets else "")
        except ValueError as problem:
            bad.skip(DataError(str(problem), path, row.line))
            continue
        if not words and not targets and _holds_texts(chosen):
            yield WordRow([], [], "", row.line)
        elif not words:
            bad.skip(DataError("expected a text. Received an empty one", path, row.line))
        elif targets and len(words) != len(tags):
            bad.skip(
                DataError(
                    f"expected as many tags as words. Received: {len(tags)} tags, {len(words)} words", path, row.line
                )
            )
        elif targets and (not all(words) or not all(tags)):
            bad.skip(DataError("expected a word and a tag between two marks. Received an empty one", path, row.line))
        else:
            text = row.values["text"]
            is_list = _SEPARATOR in text or _quoted_items(text) is not None
            words = [word for word in words if word]
            tags = tags or [OUTSIDE] * len(words)
            yield WordRow(words, tags, row.values.get("sentence", ""), row.line, "" if is_list else text)


def has_spans(path: files.PathLike, form: TableFormat, columns: Mapping[str, str]) -> bool:
    """Returns whether the first label of a table is a list of spans in JSON, as in the tables of Label Studio."""
    rows = read_table(path, _text_and_label(path, form, columns), form=form, bad=BadRows(1 << 60))
    first = next((cell for row in rows if (cell := row.values["label"].strip())), "")
    return _cell_spans(first) is not None


def _cell_spans(cell: str) -> list[Any] | None:
    """Returns the spans in a cell; None if the cell is not a list of objects in JSON."""
    try:
        value = json.loads(cell) if cell.startswith("[") else None
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, list) and value and all(isinstance(each, dict) for each in value) else None


def span_rows(
    path: files.PathLike, form: TableFormat, columns: Mapping[str, str], offsets: str, bad: BadRows
) -> Iterator[TaggedText]:
    """Yields the rows of a table whose labels are lists of spans. An empty cell has none."""
    for row in read_table(path, _text_and_label(path, form, columns), form=form, bad=bad):
        text, cell = row.values["text"], row.values["label"].strip()
        try:
            spans = _cell_spans(cell) if cell not in ("", "[]") else []
            if spans is None or not text.strip():
                raise ValueError(f"expected a text and a list of spans in JSON. Received: {text!r:.40}, {cell!r:.60}")
            yield TaggedText(text, tuple(read_spans(text, spans, offsets)), row.line)
        except ValueError as problem:
            bad.skip(DataError(str(problem), path, row.line))


def _text_and_label(path: files.PathLike, form: TableFormat, columns: Mapping[str, str]) -> dict[str, str]:
    """Returns the columns of texts and labels: the given ones, else those with usual names in the header."""
    chosen = chosen_columns(columns, first_row(path, form))
    return {"text": chosen["text"] or TEXT_NAMES[0], "label": chosen["label"] or LABEL_NAMES[0]}


def holds_texts(path: files.PathLike, form: TableFormat, columns: Mapping[str, str]) -> bool:
    """Returns whether the name of the column of texts or words of a table says that it holds texts."""
    return _holds_texts(chosen_columns(columns, first_row(path, form)))


def _holds_texts(chosen: Mapping[str, str | None]) -> bool:
    # A column that tells sentences apart is there because rows are parts of sentences.
    return not chosen.get("sentence") and str(chosen.get("text")).strip().lower() in WHOLE_TEXT_NAMES


def _others(chosen: Mapping[str, str | None]) -> dict[str, str | None]:
    return {role: name for role, name in chosen.items() if role not in ("text", "label")}


def words_and_tags(text: str, label: str) -> tuple[list[str], list[str]]:
    """Returns the words and the tags in the cells of a table: texts with spaces, or lists as pandas writes them.

    Raises:
        ValueError: The tags are the numbers of tags, whose names the file does not have.
    """
    words = _quoted_items(text)
    if words is None:
        return _split(text), _split(label)
    if re.fullmatch(r"\[[\d\s,]+\]", label.strip()):
        raise ValueError(f"expected a tag, such as B-PER or O, for each word. Received numbers: {label!r:.60}")
    tags = _quoted_items(label)
    return words, _split(label) if tags is None else tags


def _quoted_items(cell: str) -> list[str] | None:
    """Returns the items of a cell that is a list of texts in quotation marks; None for other cells."""
    return parse_list(cell) if _QUOTED_LIST.fullmatch(cell.strip()) else None


def _split(cell: str) -> list[str]:
    return cell.split(_SEPARATOR) if _SEPARATOR in cell else cell.split()


def sentences_of_rows(
    rows: Sequence[WordRow],
    columns: Mapping[str, str],
    targets: bool,
    path: files.PathLike,
    *,
    holds_texts: bool = False,
) -> Sequence[Sentence | TaggedText]:
    """Returns the sentences of a table that has one sentence in each row, or one word in each row.

    Successive rows with one word each belong to the same sentence while the column of sentences is empty or unchanged.
    Without such a column, an empty line ends a sentence.

    Args:
        rows: The rows.
        columns: The columns that the user gave, by role.
        targets: Whether tags are read.
        path: The table, for messages.
        holds_texts: Whether the name of the column says that it holds texts rather than words. Without tags, a row
            with one word, such as a sentence in Chinese, is then a text of its own.

    Raises:
        DataError: Each row has one word, and neither a column nor empty lines separate the sentences.
    """
    named = any(row.sentence.strip() for row in rows)
    single = len(rows) > 1 and all(len(row.words) == 1 for row in rows)
    if not single and not (named and columns.get("sentence")):
        return [row.sentence_alone(targets) for row in rows]
    gaps = any(after.line > before.line + 1 for before, after in itertools.pairwise(rows))
    if not named and not targets and (holds_texts or not gaps):
        return [row.sentence_alone(targets) for row in rows]
    if not named and not gaps:
        raise DataError(
            "expected a text in each row, or a column that tells sentences apart. Received a single word in each row; "
            "name that column (--sentence-column), or put an empty line between sentences",
            path,
            rows[0].line,
        )
    sentences: list[Sentence] = []
    open_name, line = "", 0
    for row in rows:
        name = row.sentence.strip()
        new = (name and name != open_name) if named else row.line > line + 1
        if new or not sentences:
            sentences.append(Sentence([], [], []))
        sentences[-1].words.extend(row.words)
        sentences[-1].tags.extend(row.tags)
        sentences[-1].lines.extend([row.line] * len(row.words))
        open_name, line = name or open_name, row.line
    return sentences
