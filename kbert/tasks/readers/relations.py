"""Reads texts with a head and a tail, and their relation: JSON, tables, and the text of SemEval-2010 task 8."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kbert import files
from kbert.errors import DataError, shown
from kbert.sources.bad_rows import BadRows
from kbert.sources.rows import read_objects
from kbert.sources.table_format import TableFormat, file_kind
from kbert.tasks.readers.span_exports import offset_reader
from kbert.tasks.readers.tables import read_table
from kbert.tasks.readers.tagged_words import word_places

Places = tuple[int, int]
"""The offset of the first character of a span, and the offset after its last character."""

_MARK = re.compile(r"</?e[12]>")
_MARKS = ["</e1>", "</e2>", "<e1>", "<e2>"]
_NUMBERED = re.compile(r"\s*\d+\t(?P<text>.*)")
_WORDS = ("tokens", "token", "words")
"""The keys of lists of words in published data, such as OpenNRE's and TACRED."""
_SHORT = {"head": "h", "tail": "t"}
"""The keys of the entities in OpenNRE's data."""
_ENTITY_KEYS = ("pos", "name", "text", "word")
"""The keys of places or of the text in an entity that is an object."""
_TACRED = {"head": ("subj_start", "subj_end"), "tail": ("obj_start", "obj_end")}
"""The keys of the first and the last word of the entities in TACRED."""


@dataclasses.dataclass(frozen=True)
class RelationExample:
    """A text with a head and a tail, and the relation between them.

    Args:
        text: The text.
        head: The places of the head in the text.
        tail: The places of the tail in the text.
        target: The relation; None if it is unknown.
        line: The 1-based line of the file; 0 for none.
    """

    text: str
    head: Places
    tail: Places
    target: str | None = None
    line: int = 0


def read_relations(
    path: files.PathLike,
    columns: Mapping[str, str],
    *,
    form: TableFormat,
    targets: bool,
    offsets: str,
    bad: BadRows,
) -> Iterator[RelationExample]:
    """Yields the examples of a file.

    Args:
        path: JSON, a table, or the text of SemEval-2010 task 8. In JSON, head and tail are [start, end],
            {"start", "end"}, or strings that are searched for in the text; OpenNRE's and TACRED's objects are read,
            too. In a table, they are strings or [start, end]. Without columns of head and tail, the text has marks:
            <e1>…</e1> around the head and <e2>…</e2> around the tail.
        columns: The columns "text", "relation" and, if there are such, "head" and "tail".
        form: The format of the file.
        targets: Whether relations are read.
        offsets: The unit of offsets, one of kbert.tasks.readers.span_exports.OFFSETS.
        bad: Counts the rows that are skipped.

    Raises:
        DataError: A row is invalid, with file and line.
    """
    rows: Iterator[tuple[int, Mapping[str, Any]]]
    is_json = file_kind(path, form) == "json"
    if is_json:
        rows = read_objects(path, form=form, bad=bad)
    elif form.is_table(path):
        rows = ((row.line, row.values) for row in read_table(path, columns, form=form, bad=bad))
    else:
        rows = _semeval_rows(path, form, targets, bad)
    for line, values in rows:
        try:
            values = _named(values, columns) if is_json else values
            text, head, tail = _entities(values, offsets)
            yield RelationExample(text, head, tail, _relation(values) if targets else None, line)
        except ValueError as problem:
            bad.skip(DataError(str(problem), path, line))


def marked_entities(text: str) -> tuple[str, Places, Places]:
    """Returns a text without its marks, and the places of the head and of the tail in it.

    Args:
        text: A text with <e1>…</e1> around the head, and <e2>…</e2> around the tail.

    Example:
        >>> marked_entities("The <e1>cat</e1> sat on the <e2>mat</e2>.")
        ('The cat sat on the mat.', (4, 7), (19, 22))

    Raises:
        ValueError: A mark is missing, occurs twice, or encloses nothing.
    """
    found = list(_MARK.finditer(text))
    if sorted(mark.group() for mark in found) != _MARKS:
        raise ValueError(
            f"expected <e1>…</e1> around the head and <e2>…</e2> around the tail, each once. Received: {text!r:.80}"
        )
    places, removed = {}, 0
    for mark in found:
        places[mark.group()] = mark.start() - removed
        removed += len(mark.group())
    plain = _MARK.sub("", text)
    head, tail = ((places[f"<e{number}>"], places[f"</e{number}>"]) for number in (1, 2))
    return plain, _checked(plain, *head, "head"), _checked(plain, *tail, "tail")


def found_entities(text: str, head: str, tail: str) -> tuple[Places, Places]:
    """Returns the places of two strings in a text: of all occurrences, the two that are nearest without an overlap.

    Args:
        text: The text.
        head: The text of the head.
        tail: The text of the tail.

    Example:
        >>> found_entities("Ada met Bob. Ada left Bob's house with Eve.", "Ada", "Eve")
        ((13, 16), (39, 42))

    Raises:
        ValueError: The text does not contain one of them.
    """
    pairs = itertools.product(_occurrences(text, head, "head"), _occurrences(text, tail, "tail"))
    return min(pairs, key=lambda pair: (_overlap(*pair), _gap(*pair)))


def _occurrences(text: str, part: str, role: str) -> list[Places]:
    part = part.strip()
    if not part:
        raise ValueError(f"expected a {role}. Received an empty one")
    found = [(match.start(), match.start() + len(part)) for match in re.finditer(f"(?={re.escape(part)})", text)]
    if not found:
        raise ValueError(f"expected the {role} {part!r:.40} in the text. Received: {text!r:.80}")
    return found


def _overlap(first: Places, second: Places) -> bool:
    return first[0] < second[1] and second[0] < first[1]


def _gap(first: Places, second: Places) -> int:
    return max(second[0] - first[1], first[0] - second[1])


def _checked(text: str, start: Any, end: Any, role: str) -> Places:
    whole = all(isinstance(place, int) and not isinstance(place, bool) for place in (start, end))
    if not whole or not 0 <= start < end <= len(text):
        raise ValueError(
            f"expected the {role} inside the text, of {len(text)} characters. Received: from {start} to {end}"
        )
    return start, end


def _relation(values: Mapping[str, Any]) -> str:
    relation = values.get("relation")
    if not isinstance(relation, (str, int)) or isinstance(relation, bool) or not str(relation).strip():
        raise ValueError(f"expected a relation. Received: {relation!r:.60}")
    return str(relation).strip()


# === JSON and tables ===


def _named(values: Mapping[str, Any], columns: Mapping[str, str]) -> dict[str, Any]:
    """Returns the values of an object by their roles, beside its own keys.

    Only a key whose name is that of its role may be missing: other keys of published data stand for it.

    Raises:
        ValueError: A key that the user named is missing.
    """
    for role, name in columns.items():
        if name not in values and name != role:
            keys = ", ".join(map(shown, values))
            raise ValueError(f"there is no key {name!r}; the object has {keys}. Name another with --{role}-column")
    return {**values, **{role: values[name] for role, name in columns.items() if name in values}}


def _entities(values: Mapping[str, Any], offsets: str) -> tuple[str, Places, Places]:
    """Returns the text of a row, and the places of head and tail."""
    text = values.get("text")
    words = next((values[name] for name in _WORDS if name in values), None) if not isinstance(text, str) else None
    if isinstance(text, list):
        words = text
    starts: list[int] = []
    ends: list[int] = []
    if words is not None:
        if not isinstance(words, list) or not all(isinstance(word, str) and word.strip() for word in words):
            raise ValueError(f"expected a text, or a list of words. Received: {words!r:.60}")
        text, starts, ends = word_places(words)
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"expected a text. Received: {text!r:.60}")
    given = {role: _given(values, role) for role in ("head", "tail")}
    if given["head"] is None and given["tail"] is None:
        return marked_entities(text)
    if all(isinstance(value, str) for value in given.values()):
        return text, *found_entities(text, *given.values())
    places = []
    for role, value in given.items():
        if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
            raise ValueError(f"expected [start, end] as {role}, or its text, for both. Received: {value!r:.60}")
        start, end = value
        if words is not None:
            _checked(" " * len(words), start, end, role)
            places.append((starts[start], ends[end - 1]))
        else:
            read = offset_reader(text, offsets)
            start, end = (read(each) if type(each) is int else each for each in (start, end))
            places.append(_checked(text, start, end, role))
    return text, places[0], places[1]


def _given(values: Mapping[str, Any], role: str) -> Any:
    """Returns what a row says of an entity: a text, or two places; None if it says nothing."""
    first, last = _TACRED[role]
    if role not in values and first in values and isinstance(values.get(last), int):
        return [values[first], values[last] + 1]
    value = values.get(role, values.get(_SHORT[role]))
    if isinstance(value, str) and value.startswith("["):
        try:
            value = json.loads(value)
        except ValueError:
            return value
    if isinstance(value, Mapping):
        if "start" in value and "end" in value:
            return [value["start"], value["end"]]
        return next((value[key] for key in _ENTITY_KEYS if key in value), None)
    return value


# === SemEval-2010 task 8 ===


def _semeval_rows(
    path: files.PathLike, form: TableFormat, targets: bool, bad: BadRows
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields the sentences of a file: a number, a tab and a sentence with marks, then its relation, then a comment.

    Without targets, the lines of the relations may be missing, as in the test file, and so may the numbers.
    """
    sentence: tuple[int, str] | None = None
    for number, line in itertools.chain(form.numbered_lines(path, bad), [(0, "")]):
        is_comment = line.startswith("Comment")
        is_sentence = "<e1>" in line and not is_comment
        if sentence is not None and (not line.strip() or is_sentence or is_comment):
            if targets:
                bad.skip(DataError("expected a relation in the line after the sentence", path, sentence[0]))
            else:
                yield sentence[0], {"text": sentence[1]}
            sentence = None
        if is_sentence:
            match = _NUMBERED.fullmatch(line)
            sentence = number, _unquoted((match["text"] if match else line).strip())
        elif sentence is not None:
            yield sentence[0], {"text": sentence[1], "relation": line.strip()}
            sentence = None
        elif line.strip() and not is_comment:
            bad.skip(
                DataError(
                    f"expected a sentence with <e1>…</e1> and <e2>…</e2>, and its relation in the next line. "
                    f"Received: {line[:60]!r}; a table needs its --delimiter",
                    path,
                    number,
                )
            )


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
