"""Reads questions on contexts from SQuAD files, JSON lines and tables."""

from __future__ import annotations

import codecs
import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kbert import files
from kbert.errors import DataError, shown
from kbert.sources.bad_rows import BadRows
from kbert.sources.json_values import parse
from kbert.sources.rows import read_objects
from kbert.sources.table_format import TableFormat, check_there, file_kind, row_kind
from kbert.tasks.readers.answer_cells import parse_answers
from kbert.tasks.readers.tables import COLUMN_NUMBERS, first_row, read_table

_ID_KEYS = ("id", "qid", "query_id", "question_id")
_TARGET_NAMES = ("answer_start", "is_impossible")
_USUAL_SHIFT = 2


@dataclasses.dataclass(frozen=True)
class Answer:
    """An answer and its place in the context.

    Args:
        text: The text of the answer.
        start: The offset of its first character in the context; -1 if the context does not contain it.
    """

    text: str
    start: int


@dataclasses.dataclass(frozen=True)
class Question:
    """A question on a context.

    Args:
        question: The question.
        context: The text that holds the answer.
        answers: The right answers, of which the first is learnt. Empty if the context has no answer; None if the
            answers are unknown.
        id: The id of the question in the file; "" if it has none.
        line: The 1-based line of the file; 0 for none.
    """

    question: str
    context: str
    answers: tuple[Answer, ...] | None = None
    id: str = ""
    line: int = 0


def read_questions(
    path: files.PathLike, columns: Mapping[str, str], *, form: TableFormat, targets: bool, bad: BadRows
) -> Iterator[Question]:
    """Yields the questions of a file.

    Args:
        path: A SQuAD file (1.1 or 2.0; also a list of its articles or contexts); JSON lines of contexts with "qas"
            or of objects with the keys in `columns`; or a table with these columns, whose answers are texts or objects
            as in JSON. A table may also have the columns answer_start, is_impossible and id.
        columns: The columns of the roles "question", "context" and "answers".
        form: The format of the file.
        targets: Whether answers are read.
        bad: Counts the questions that are skipped, and the answers whose place is corrected.

    Raises:
        UsageError: The file is not a table by its suffix.
        DataError: The file has another format, or a question is invalid and `bad` does not allow for it.
    """
    check_there(path)
    if file_kind(path, form) != "json":
        yield from _table_questions(path, columns, form, targets, bad)
        return
    is_text = row_kind(path, form) == "jsonl"
    paragraphs = _paragraphs(_document(path, form), path) if is_text else None
    if paragraphs is not None:
        for where, paragraph in paragraphs:
            yield from _questions(where, paragraph, targets, path, 0, bad)
        return
    for line, values in read_objects(path, form=form, bad=bad):
        if "qas" in values:
            yield from _questions("", values, targets, path, line, bad)
            continue
        if set(values) == {"header"}:  # MRQA's files begin with it
            continue
        try:
            yield _from_object(values, columns, targets, line, bad)
        except ValueError as problem:
            bad.skip(DataError(str(problem), path, line))


def _table_questions(
    path: files.PathLike, columns: Mapping[str, str], form: TableFormat, targets: bool, bad: BadRows
) -> Iterator[Question]:
    names = [] if any(map(COLUMN_NUMBERS.fullmatch, columns.values())) else first_row(path, form)
    optional = (*(_TARGET_NAMES if targets else ()), *_ID_KEYS)
    further = {name: name for name in optional if name in names and name not in columns.values()}
    name = next((key for key in _ID_KEYS if key in further), None)
    for row in read_table(path, {**columns, **further}, form=form, bad=bad):
        values = row.values
        question, context, id_ = values["question"], values["context"], values[name] if name else ""
        if not targets:
            yield Question(question, context, None, id_, row.line)
            continue
        try:
            answers: tuple[Answer, ...] = ()
            _text(values, "question"), _text(values, "context")
            if not _flag(values.get("is_impossible")):
                given = parse_answers(values["answers"], values.get("answer_start", ""))
                answers = _answers(context, given, row.line, bad)
            yield Question(question, context, answers, id_, row.line)
        except ValueError as problem:
            bad.skip(DataError(str(problem), path, row.line))


def _document(path: files.PathLike, form: TableFormat) -> Any:
    """Returns the value of a file that is a single JSON value; None for JSON lines."""
    with files.damage_as_error(path), files.open_binary(path) as handle:
        content = handle.read()
    try:
        # Python's JSON reader detects byte order marks in bytes.
        return parse(content if codecs.lookup(form.encoding).name == "utf-8" else content.decode(form.encoding))
    except json.JSONDecodeError as problem:
        if problem.msg == "Extra data" or ".json" not in Path(path).suffixes:
            return None  # JSON lines
        raise DataError(f"expected SQuAD's JSON, or JSON lines ({problem.msg})", path, problem.lineno) from None
    except (ValueError, RecursionError):
        return None


def _paragraphs(document: Any, path: files.PathLike) -> Iterator[tuple[str, Any]] | None:
    """Returns the contexts of a SQuAD file, each with its JSON path; None for a file of another form.

    The file may also be only the list of articles, or only the list of contexts.
    """
    where = ""
    if isinstance(document, dict) and ("data" in document or "paragraphs" in document):
        where = "data" if "data" in document else "paragraphs"
        document = _items(document, where, path, "")
    if not isinstance(document, list):
        return None
    first = document[0] if document else {}
    if not where and not (isinstance(first, dict) and ("paragraphs" in first or "qas" in first)):
        return None
    return _all_paragraphs(document, where, path)


def _all_paragraphs(document: list[Any], where: str, path: files.PathLike) -> Iterator[tuple[str, Any]]:
    for place, item in enumerate(document):
        if isinstance(item, dict) and "qas" in item:
            yield f"{where}[{place}]", item
            continue
        for index, paragraph in enumerate(_items(item, "paragraphs", path, f"{where}[{place}]")):
            yield f"{where}[{place}].paragraphs[{index}]", paragraph


def _questions(
    where: str, paragraph: Any, targets: bool, path: files.PathLike, line: int, bad: BadRows
) -> Iterator[Question]:
    for number, question in enumerate(_items(paragraph, "qas", path, where)):
        try:
            yield _question(paragraph, question, targets, line, bad)
        except ValueError as problem:
            bad.skip(DataError(f"{where}.qas[{number}]: {problem}".lstrip("."), path, line or None))


def _items(parent: Any, name: str, path: files.PathLike, where: str) -> list[Any]:
    items = parent.get(name) if isinstance(parent, dict) else None
    if not isinstance(items, list):
        place = f"{where}.{name}" if where else name
        keys = f"; the keys are {', '.join(map(shown, parent))}" if isinstance(parent, dict) and items is None else ""
        raise DataError(f"{place}: expected a list, as in SQuAD. Received: {items!r:.60}{keys}", path)
    return items


def _question(paragraph: Mapping[str, Any], values: Any, targets: bool, line: int, bad: BadRows) -> Question:
    if not isinstance(values, dict):
        raise ValueError(f"expected an object with question and answers. Received: {values!r:.60}")
    context = _text(paragraph, "context")
    name = str(next((values[key] for key in _ID_KEYS if key in values), ""))
    if not targets:
        return Question(_text(values, "question"), context, None, name, line)
    answers = values.get("detected_answers") or values.get("answers")  # only the former has offsets in MRQA's files
    if _flag(values.get("is_impossible")):
        answers = []
    elif not answers:
        raise ValueError(f"expected answers, or is_impossible. Received: answers={answers!r:.60}")
    return Question(_text(values, "question"), context, _answers(context, answers, line, bad), name, line)


def _flag(value: Any) -> bool:
    """Converts the value of "is_impossible" to a bool; some programs write it as a text or a number.

    Raises:
        ValueError: The value is neither true nor false.
    """
    said = str(value).strip().lower()
    if said in ("true", "1", "1.0", "yes"):
        return True
    if said in ("false", "0", "0.0", "no", "none", "null", "nan", ""):
        return False
    raise ValueError(f"expected true or false as is_impossible. Received: {value!r:.60}")


def _from_object(
    values: Mapping[str, Any], columns: Mapping[str, str], targets: bool, line: int, bad: BadRows
) -> Question:
    question, context = _text(values, columns["question"]), _text(values, columns["context"])
    name = str(next((values[key] for key in _ID_KEYS if key in values), ""))
    if not targets:
        return Question(question, context, None, name, line)
    key = columns["answers"]
    if _flag(values.get("is_impossible")):
        return Question(question, context, (), name, line)
    if key not in values:
        raise ValueError(f"there is no key {key!r}; the object has {', '.join(map(repr, values))}")
    return Question(question, context, _answers(context, values[key], line, bad), name, line)


def _text(values: Mapping[str, Any], name: str) -> str:
    text = values.get(name)
    if not isinstance(text, str) or not text.strip():
        keys = "" if name in values else f"; the keys are {', '.join(map(shown, values))}"
        raise ValueError(f"expected a text as {name}. Received: {text!r:.60}{keys}")
    return text


def _answers(context: str, answers: Any, line: int, bad: BadRows) -> tuple[Answer, ...]:
    """Returns the answers with their places. Those that the context contains come first, since the first is learnt."""
    if isinstance(answers, str):
        answers = [answers]
    if isinstance(answers, dict) and "text" in answers:
        # Hugging Face's data sets have an object of lists instead of a list of objects.
        texts, starts = answers["text"], answers.get("answer_start")
        texts = [texts] if isinstance(texts, str) else texts
        starts = [None] * len(texts) if starts is None and isinstance(texts, list) else starts
        starts = [starts] if isinstance(starts, int) else starts
        if not isinstance(texts, list) or not isinstance(starts, list) or len(texts) != len(starts):
            raise ValueError(f"expected as many text as answer_start. Received: {answers!r:.60}")
        answers = [{"text": text, "answer_start": start} for text, start in zip(texts, starts, strict=True)]
    if not isinstance(answers, list):
        raise ValueError(f'expected answers, a list of {{"text", "answer_start"}}. Received: {answers!r:.60}')
    found = []
    moved = False
    for answer in answers:
        if isinstance(answer, str):
            answer = {"text": answer}
        text = answer.get("text") if isinstance(answer, dict) else None
        if not isinstance(text, str) or not text:
            raise ValueError(f'expected an answer {{"text", "answer_start"}}. Received: {answer!r:.60}')
        start = _said_start(answer)
        place = nearest(context, text, start)
        # Offsets that are wrong by one or two characters are common in published files, so they are not reported.
        moved |= start is None or (place >= 0 and abs(place - start) > _USUAL_SHIFT)
        found.append(Answer(text, place))
    found.sort(key=lambda answer: answer.start < 0)
    if moved and found[0].start >= 0:
        bad.repaired("answers are not at their answer_start; the nearest place in the context was taken", line)
    return tuple(found)


def _said_start(answer: Mapping[str, Any]) -> int | None:
    """Returns the offset of an answer in the file; None if the file has none."""
    spans = answer.get("char_spans")
    start = spans[0] if isinstance(spans, list) and spans else answer.get("answer_start")
    start = start[0] if isinstance(start, list) and start else start
    if isinstance(start, str) and re.fullmatch(r"-?[0-9]{1,12}", start.strip()):
        start = int(start)
    if isinstance(start, float) and start.is_integer():
        start = int(start)
    if start is not None and (not isinstance(start, int) or isinstance(start, bool)):
        raise ValueError(f'expected an answer {{"text", "answer_start"}}. Received: {answer!r:.60}')
    return start


def nearest(context: str, text: str, start: int | None) -> int:
    """Returns the offset of a text in a context that is nearest to `start`; -1 if the context does not contain it.

    With a `start` of None it is the first offset.

    Example:
        >>> nearest("a b a b", "b", 5), nearest("a b a b", "b", None), nearest("a b", "c", 0)
        (6, 2, -1)
    """
    best = place = context.find(text)
    if start is None:
        return best
    if start >= 0 and context.startswith(text, start):
        return start
    while place >= 0:
        if abs(place - start) < abs(best - start):
            best = place
        place = context.find(text, place + 1)
    return best


def check_placed(question: Question) -> None:
    """Checks that the context of a question contains one of its answers, which training needs.

    Raises:
        ValueError: The context contains none of the answers.
    """
    if question.answers and question.answers[0].start < 0:
        raise ValueError(f"expected an answer that stands in the context. Received: {question.answers[0].text!r:.60}")
