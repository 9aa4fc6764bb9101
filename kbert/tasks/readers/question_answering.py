"""Questions on contexts: SQuAD files, and tables of questions."""

from __future__ import annotations

import codecs
import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kbert import files
from kbert.errors import DataError, UsageError
from kbert.tasks.readers.bad_rows import BadRows
from kbert.tasks.readers.json_lines import parse
from kbert.tasks.readers.memory_table import MemoryTable
from kbert.tasks.readers.table_format import TableFormat, check_there
from kbert.tasks.readers.tables import file_kind, read_objects, read_table


@dataclasses.dataclass(frozen=True)
class Answer:
    """An answer and where it stands.

    Args:
        text: A part of the context.
        start: Its first character in the context.
    """

    text: str
    start: int


@dataclasses.dataclass(frozen=True)
class Question:
    """A question on a context.

    Args:
        question: The question.
        context: The text that holds the answer.
        answers: Answers that are right, the first the one to learn; none where the context has none; None where they
            are unknown.
        id: Its name in the file.
        line: The 1-based line it came from; 0 for none.
    """

    question: str
    context: str
    answers: tuple[Answer, ...] | None = None
    id: str = ""
    line: int = 0


def read_questions(
    path: files.PathLike, columns: Mapping[str, str], *, form: TableFormat, targets: bool, bad: BadRows
) -> Iterator[Question]:
    """Reads questions.

    Args:
        path: A SQuAD file (1.1 or 2.0), or JSON lines with the keys of `columns`; without targets also CSV or TSV.
        columns: The columns "question", "context" and "answers".
        form: How the file is written.
        targets: Whether answers are wanted.
        bad: Takes questions that cannot be used.

    Raises:
        DataError: The file is of no such format.
    """
    check_there(path)
    if file_kind(path) != "json":
        if targets:
            raise UsageError(f"{path}: expected answers in a SQuAD file (.json) or JSON lines (.jsonl)")
        for row in read_table(path, columns, form=form, bad=bad):
            yield Question(row.values["question"], row.values["context"], None, "", row.line)
        return
    document = None if isinstance(path, MemoryTable) else _document(path, form)
    if document is not None:
        yield from _squad(path, document, targets, bad)
        return
    for line, values in read_objects(path, form=form, bad=bad):
        try:
            yield _from_object(values, columns, targets, line)
        except ValueError as problem:
            bad.skip(DataError(str(problem), path, line))


def _document(path: files.PathLike, form: TableFormat) -> dict[str, Any] | None:
    """The one object of a SQuAD file; None for JSON lines."""
    with files.damage_said(path), files.open_binary(path) as handle:
        content = handle.read()
    try:
        # A byte order mark is for Python's reader to know.
        document = parse(content if codecs.lookup(form.encoding).name == "utf-8" else content.decode(form.encoding))
    except json.JSONDecodeError as problem:
        if problem.msg == "Extra data" or ".json" not in Path(path).suffixes:
            return None  # an object a line
        raise DataError(f"expected SQuAD's JSON, or JSON lines ({problem.msg})", path, problem.lineno) from None
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) and "data" in document else None


def _squad(path: files.PathLike, document: Mapping[str, Any], targets: bool, bad: BadRows) -> Iterator[Question]:
    for place, title in enumerate(_items(document, "data", path, "")):
        for index, paragraph in enumerate(_items(title, "paragraphs", path, f"data[{place}]")):
            where = f"data[{place}].paragraphs[{index}]"
            for number, question in enumerate(_items(paragraph, "qas", path, where)):
                try:
                    yield _question(paragraph, question, targets)
                except ValueError as problem:
                    bad.skip(DataError(f"{where}.qas[{number}]: {problem}", path))


def _items(parent: Any, name: str, path: files.PathLike, where: str) -> list[Any]:
    items = parent.get(name) if isinstance(parent, dict) else None
    if not isinstance(items, list):
        place = f"{where}.{name}" if where else name
        raise DataError(f"{place}: expected a list, as in SQuAD. Received: {items!r:.60}", path)
    return items


def _question(paragraph: Mapping[str, Any], values: Any, targets: bool) -> Question:
    if not isinstance(values, dict):
        raise ValueError(f"expected an object with question and answers. Received: {values!r:.60}")
    context = _text(paragraph, "context")
    name = values.get("id", values.get("query_id", ""))
    if not targets:
        return Question(_text(values, "question"), context, None, str(name))
    answers = values.get("answers")
    if values.get("is_impossible"):
        answers = []
    elif not answers:
        raise ValueError(f"expected answers, or is_impossible. Received: answers={answers!r:.60}")
    return Question(_text(values, "question"), context, _answers(context, answers), str(name))


def _from_object(values: Mapping[str, Any], columns: Mapping[str, str], targets: bool, line: int) -> Question:
    question, context = _text(values, columns["question"]), _text(values, columns["context"])
    if not targets:
        return Question(question, context, None, str(values.get("id", "")), line)
    key = columns["answers"]
    if key not in values:
        raise ValueError(f"there is no key {key!r}; the object has {', '.join(map(repr, values))}")
    answers = values[key]
    if isinstance(answers, dict) and {"text", "answer_start"} <= answers.keys():
        # The columns of Hugging Face's data sets.
        texts, starts = answers["text"], answers["answer_start"]
        if not isinstance(texts, list) or not isinstance(starts, list) or len(texts) != len(starts):
            raise ValueError(f"expected as many text as answer_start. Received: {answers!r:.60}")
        answers = [{"text": text, "answer_start": start} for text, start in zip(texts, starts, strict=True)]
    return Question(question, context, _answers(context, answers), str(values.get("id", "")), line)


def _text(values: Mapping[str, Any], name: str) -> str:
    text = values.get(name)
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"expected a text as {name}. Received: {text!r:.60}")
    return text


def _answers(context: str, answers: Any) -> tuple[Answer, ...]:
    if not isinstance(answers, list):
        raise ValueError(f'expected answers, a list of {{"text", "answer_start"}}. Received: {answers!r:.60}')
    found = []
    for answer in answers:
        text = answer.get("text") if isinstance(answer, dict) else None
        start = answer.get("answer_start") if isinstance(answer, dict) else None
        if not isinstance(text, str) or not text or not isinstance(start, int) or isinstance(start, bool):
            raise ValueError(f'expected an answer {{"text", "answer_start"}}. Received: {answer!r:.60}')
        place = _place(context, text, start)
        if place is None:
            there = context[max(0, start) : max(0, start) + len(text)]
            raise ValueError(
                f"expected the answer {text!r:.60} at character {start}. The context has {there!r:.60} there"
            )
        found.append(Answer(text, place))
    return tuple(found)


def _place(context: str, text: str, start: int) -> int | None:
    """Where an answer stands: at its offset, or a character or two beside it, as in several published files."""
    for place in (start, start - 1, start + 1, start - 2, start + 2):
        if place >= 0 and context[place : place + len(text)] == text:
            return place
    return None
