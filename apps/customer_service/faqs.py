"""The list of frequently asked questions (FAQs), read from a CSV file.

Rows with the same answer are one FAQ with several phrasings. So a file of pairs of a question and its category is a
list of FAQs, too.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import kbert

ROLES: Mapping[str, tuple[str, ...]] = {
    "question": ("question", "问题"),
    "answer": ("answer", "答案"),
    "category": ("category", "类别"),
    "id": ("id", "编号"),
}
"""The roles of columns, and the names that a column of each role may have by default."""
_OPTIONAL = ("category", "id")
_DELIMITERS = (",", ";", "\t")


class FileError(kbert.KbertError):
    """A file of the user has invalid content; the message names the file and the line."""


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of the file.

    Args:
        question: The question, not empty.
        answer: The answer; empty only if the file was read without answers.
        category: The category, or "".
        id: The value of the column of ids, or "".
        line: The 1-based line on which the row begins.
    """

    question: str
    answer: str
    category: str = ""
    id: str = ""
    line: int = 0


@dataclasses.dataclass(frozen=True)
class Faq:
    """An answer, and the questions that it answers.

    Args:
        id: A name that is the same in each start of the app, so that feedback stays valid: the value of the column of
            ids, or else a digest of the first question.
        questions: Phrasings of the question, at least one. The first one is shown to customers.
        answer: The answer.
        category: The category, or "".
    """

    id: str
    questions: tuple[str, ...]
    answer: str
    category: str = ""

    @property
    def question(self) -> str:
        """The phrasing that is shown to customers."""
        return self.questions[0]


@dataclasses.dataclass(frozen=True)
class Columns:
    """The names of the columns; None stands for the names in ROLES.

    Example:
        >>> from apps.customer_service.faqs import Columns
        >>> Columns(question="text", answer="category").question
        'text'
    """

    question: str | None = None
    answer: str | None = None
    category: str | None = None
    id: str | None = None


def read_faqs(path: str | os.PathLike[str], columns: Columns = Columns()) -> list[Faq]:
    """Reads a list of FAQs.

    Raises:
        FileError: The file is unreadable or has no such column, or one of its rows is invalid.
    """
    return group_faqs(read_rows(path, columns), path)


def read_rows(path: str | os.PathLike[str], columns: Columns = Columns(), *, answers: bool = True) -> list[Row]:
    """Reads the rows of a CSV file with a header. Cells may be separated by commas, semicolons or tabs.

    Args:
        path: The file, in UTF-8.
        columns: The names of the columns.
        answers: Whether each row must have an answer; otherwise the file need not have the column.

    Raises:
        FileError: The file is unreadable or has no such column, or one of its rows is invalid.
    """
    lines = _cells(path)
    header = next(lines, (1, []))[1]
    places = _places(path, header, columns, answers=answers)
    rows = []
    for line, cells in lines:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            raise FileError(
                f"{path}:{line}: expected {len(header)} cells, as in the header. Received: {len(cells)}; put cells "
                "with commas or line breaks in quotation marks"
            )
        values = {role: cells[place].strip() for role, place in places.items()}
        for article, role in (("a", "question"), ("an", "answer"))[: 1 + answers]:
            if not values[role]:
                raise FileError(
                    f"{path}:{line}: expected {article} {role}. Received: an empty cell; fill it or remove the row"
                )
        rows.append(Row(line=line, **({"answer": ""} | values)))
    if not rows:
        raise FileError(f"{path}: expected rows below the header. Received: none")
    return rows


def group_faqs(rows: Iterable[Row], path: str | os.PathLike[str] = "") -> list[Faq]:
    """Makes FAQs of rows: rows with the same id are one FAQ, or without ids those with the same answer and category.

    Args:
        rows: The rows.
        path: The file, for messages.

    Raises:
        FileError: Rows with the same id have different answers or categories.

    Example:
        >>> from apps.customer_service.faqs import Row, group_faqs
        >>> rows = [Row("Where is it?", "In town."), Row("Can it be found in town?", "In town.")]
        >>> [faq.questions for faq in group_faqs(rows)]
        [('Where is it?', 'Can it be found in town?')]
    """
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        key = (row.id,) if row.id else (row.answer, row.category)
        group = groups.setdefault(key, [])
        if group and (row.answer, row.category) != (group[0].answer, group[0].category):
            raise FileError(
                f"{path}:{row.line}: expected the answer and the category of the other rows with the id {row.id!r}. "
                f"Received: others than in line {group[0].line}; give the row another id"
            )
        group.append(row)
    faqs: dict[str, Faq] = {}
    for group in groups.values():
        questions = tuple(dict.fromkeys(row.question for row in group))
        name = group[0].id or _new_id(questions[0], faqs)
        faqs[name] = Faq(name, questions, group[0].answer, group[0].category)
    return list(faqs.values())


def _new_id(question: str, taken: Mapping[str, Faq]) -> str:
    """Returns a digest of the question; if several FAQs begin with the same question, they are numbered."""
    digest = hashlib.sha256(question.encode("utf-8")).hexdigest()[:12]
    number, name = 1, digest
    while name in taken:
        number += 1
        name = f"{digest}-{number}"
    return name


def _cells(path: str | os.PathLike[str]) -> Iterator[tuple[int, list[str]]]:
    """Yields the first line and the cells of each row."""
    try:
        content = Path(path).read_bytes()
    except OSError as problem:
        raise FileError(f"expected a CSV file. Received: {path} ({problem.strerror})") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = content.count(b"\n", 0, problem.start) + 1
        raise FileError(f"{path}:{line}: expected UTF-8. Received: other bytes; save the file as UTF-8") from None
    first = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            yield line, cells
            line = reader.line_num + 1
    except csv.Error as problem:
        raise FileError(f"{path}:{line}: expected CSV. Received: a damaged row ({problem})") from None


def _places(path: str | os.PathLike[str], header: Sequence[str], columns: Columns, *, answers: bool) -> dict[str, int]:
    """Returns the place of the column of each role that the file has."""
    names = [name.strip() for name in header]
    places = {}
    for role, defaults in ROLES.items():
        wanted = getattr(columns, role)
        found = [names.index(name) for name in ([wanted] if wanted else defaults) if name in names]
        if found:
            places[role] = found[0]
        elif wanted or (role not in _OPTIONAL and (answers or role == "question")):
            has = ", ".join(names) if any(names) else "no header"
            raise FileError(
                f"{path}:1: expected a column {wanted or defaults[0]!r}. Received: {has[:200]}; name the column with "
                f"--{role}-column"
            )
    return places
