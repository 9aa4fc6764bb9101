"""Reads texts with predicates and their roles, from JSON lines with offsets or from columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kbert import files
from kbert.errors import DataError, UsageError
from kbert.sources.bad_rows import BadRows
from kbert.sources.rows import read_objects
from kbert.sources.table_format import TableFormat, check_there, file_kind
from kbert.tasks.readers.predicates import Predicate, RolesText, checked_text
from kbert.tasks.readers.propbank_columns import read_propbank_columns
from kbert.tasks.readers.span_exports import offset_reader
from kbert.tasks.readers.tables import read_table
from kbert.tasks.readers.tagged_texts import Span
from kbert.tasks.readers.tagging import CONLL_ENDINGS

ENDINGS = (*CONLL_ENDINGS, ".conllup", ".conll05", ".conll12", "_conll", ".gold_skel")
"""The endings of the names of CoNLL files."""


def read_roles_texts(
    path: files.PathLike,
    columns: Mapping[str, str],
    *,
    form: TableFormat,
    targets: bool,
    offsets: str,
    bad: BadRows,
) -> Iterator[RolesText]:
    """Yields the texts of a file.

    Args:
        path: JSON lines of objects with a text and predicates; CoNLL-2005 or CoNLL-2012 columns; or CoNLL-U with the
            columns of Universal Propositions. Without targets, it may be a table with a column of texts, too.
        columns: The keys "text" and "predicates".
        form: The format of the file.
        targets: Whether predicates are read.
        offsets: The unit of offsets, one of kbert.tasks.readers.span_exports.OFFSETS.
        bad: Counts the texts that are skipped.

    Raises:
        DataError: A text is invalid, with file and line.
        UsageError: The file is a table, but predicates are wanted.
    """
    check_there(path)
    kind = file_kind(path, form)
    if kind == "json":
        for line, values in read_objects(path, form=form, bad=bad):
            try:
                yield _of_object(values, columns, targets, offsets, line)
            except ValueError as problem:
                bad.skip(DataError(str(problem), path, line))
    elif form.is_table(path) and not str(path).lower().endswith(ENDINGS):
        if targets:
            raise UsageError(
                f"{path}: expected JSON lines with predicates, or CoNLL columns, by its ending: .jsonl, .conll or "
                ".conllu. Received: a table"
            )
        for row in read_table(path, {"text": columns["text"]}, form=form, bad=bad):
            yield RolesText(row.values["text"], None, row.line)
    else:
        yield from read_propbank_columns(path, form, targets, bad)


# === JSON ===


def _of_object(
    values: Mapping[str, Any], columns: Mapping[str, str], targets: bool, offsets: str, line: int
) -> RolesText:
    name = columns.get("text", "text")
    text = values.get(name)
    if not isinstance(text, str) or (targets and not text.strip()):  # an empty text has an answer, without predicates
        raise ValueError(f"expected a text as {name!r}. Received: {text!r:.60}")
    if not targets:
        return RolesText(text, None, line)
    name = columns.get("predicates", "predicates")
    listed = values.get(name)
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise ValueError(f"expected a list of predicates as {name!r}. Received: {listed!r:.60}")
    read = offset_reader(text, offsets)
    return checked_text(text, [_predicate(each, read) for each in listed], line)


def _predicate(values: Mapping[str, Any], read: Callable[[int], int]) -> Predicate:
    roles = values.get("roles", [])
    if not isinstance(roles, list) or not all(isinstance(each, dict) for each in roles):
        raise ValueError(f"expected a list of roles. Received: {roles!r:.60}")
    sense = values.get("sense")
    if sense is not None and not isinstance(sense, str):
        raise ValueError(f"expected a sense such as 'give.01'. Received: {sense!r:.60}")
    spans = []
    for role in roles:
        label = role.get("role")
        if not isinstance(label, str) or not label.strip():
            raise ValueError(f"expected a role such as 'ARG0'. Received: {label!r:.60}")
        spans.append(Span(*_places(role, read), label.strip()))
    return Predicate(*_places(values, read), sense.strip() or None if sense else None, tuple(spans))


def _places(values: Mapping[str, Any], read: Callable[[int], int]) -> tuple[int, int]:
    start, end = values.get("start"), values.get("end")
    if type(start) is not int or type(end) is not int:
        raise ValueError(f'expected "start" and "end" as whole numbers. Received: {[start, end]}')
    return read(start), read(end)
