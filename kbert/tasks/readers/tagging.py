"""Reads texts with spans from the formats of tagged data: CoNLL, JSON with offsets, tables of words and tags."""

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
from kbert.sources.rows import read_values
from kbert.sources.table_format import TableFormat, check_there, file_kind
from kbert.tasks.readers.conll import read_conll
from kbert.tasks.readers.label_lists import parse_list
from kbert.tasks.readers.span_exports import as_object, elements, offset_reader, raw_spans
from kbert.tasks.readers.tables import first_row, read_table
from kbert.tasks.readers.tag_columns import LABEL_NAMES, TEXT_NAMES, chosen_columns, text_name
from kbert.tasks.readers.tag_schemes import OUTSIDE, TagProblem, check_types, detect_scheme, entities_in_scheme
from kbert.tasks.readers.tagged_words import Sentence, with_usual_tags, word_places
from kbert.tasks.readers.word_tags import WORDS, are_word_tags, runs_of_equal_tags

CONLL_ENDINGS = (
    ".conll",
    ".conllu",
    ".conll03",
    ".bio",
    ".iob",
    ".iob2",
    ".bioes",
    ".bmes",
    ".train",
    ".dev",
    ".test",
)
_SEPARATOR = "\x02"
"""The separator of words and of tags in the cells of some published tables."""
_QUOTED_LIST = re.compile(r"""\[\s*(['"]).*['"]\s*\]""", re.DOTALL)
"""A list of texts in a cell, such as ['Ada', 'left'] or, without commas, ['Ada' 'left'] as NumPy writes it."""
_REPAIRED = "tags such as I-X that nothing begins, or entities without an end, were read as conlleval reads them"


@dataclasses.dataclass(frozen=True)
class Span:
    """A part of a text with a label.

    Args:
        start: The offset of its first character.
        end: The offset after its last character.
        label: The label, also called the type.
    """

    start: int
    end: int
    label: str


@dataclasses.dataclass(frozen=True)
class TaggedText:
    """A text and its spans.

    Args:
        text: The text.
        spans: The spans of the text; None if they are unknown.
        line: The 1-based line where the text starts; 0 for none.
        words: The (start, end) of each word, if the file has words instead of a text.
        tags: The tag of each word, as the file has it; None if the file has no words or no tags.
        per_word: Whether the tags of the file belong to single words, as parts of speech do.
    """

    text: str
    spans: tuple[Span, ...] | None = None
    line: int = 0
    words: tuple[tuple[int, int], ...] = dataclasses.field(default=(), compare=False)
    tags: tuple[str, ...] | None = dataclasses.field(default=None, compare=False)
    per_word: bool = dataclasses.field(default=False, compare=False)


@dataclasses.dataclass(frozen=True)
class _Row:
    """A row of a table: its words and tags, and the id of its sentence."""

    words: list[str]
    tags: list[str]
    sentence: str
    line: int


def read_tagged_texts(
    path: files.PathLike,
    columns: Mapping[str, str],
    *,
    scheme: str,
    form: TableFormat | None = None,
    targets: bool,
    bad: BadRows,
    strict: bool = False,
    offsets: str = "characters",
) -> list[TaggedText]:
    """Reads tagged texts. The suffix and the first line of the file determine its format.

    Args:
        path: JSON, a table with a header, or CoNLL. JSON objects have a text and spans with offsets, or words and tags
            in lists or in strings separated by spaces; without targets, a line may also be a list of words. Exports of
            doccano, spaCy, Prodigy and Label Studio are read, too. A table has such strings in its cells, or one word
            in each row. Any other file is CoNLL: a word and its tag in each line, and an empty line between sentences.
        columns: The columns "text" and "label", if they have unusual names; in CoNLL files, their numbers. The column
            "sentence" identifies sentences in a table with one word in each row.
        scheme: The scheme of the tags; WORDS if they belong to single words; or "auto" to detect it.
        form: The format of the file.
        targets: Whether labels are read.
        bad: Counts the texts that are skipped, and the tags that are repaired.
        strict: Whether tags that break the scheme are errors.
        offsets: The unit of the offsets of spans, one of kbert.tasks.readers.span_exports.OFFSETS.

    Raises:
        DataError: A text or a tag is invalid, with file and line.
    """
    form = form or TableFormat()
    kind = file_kind(path, form)
    check_there(path)
    found: Iterator[TaggedText | Sentence]
    if kind == "json":
        found = _read_json(path, form, columns, targets, offsets, bad)
    elif kind in ("tsv", "csv", "xlsx") and _has_header(path, form, columns):
        if targets and _has_spans(path, form, columns):
            found = _span_rows(path, form, columns, offsets, bad)
        else:
            found = iter(_of_rows(list(_table_rows(path, form, columns, targets, bad)), columns, targets, path))
    else:
        found = read_conll(path, columns, form, targets, bad)
    items = list(found)
    read = [item for item in items if isinstance(item, Sentence)]
    if scheme == "auto" and targets and are_word_tags(item.tags for item in read):
        scheme = WORDS
    usual = read if scheme == WORDS else with_usual_tags(read, path)
    if scheme == "auto":
        scheme = detect_scheme(item.tags for item in usual)
    sentences = iter(usual)
    texts = []
    for item in items:
        if isinstance(item, TaggedText):
            texts.append(item)
            continue
        try:
            texts.append(_tagged(next(sentences), item.tags, scheme, targets, None if strict else bad))
        except TagProblem as problem:
            line = item.lines[min(problem.place, len(item.lines) - 1)]
            bad.skip(DataError(str(problem), path, line))
    return texts


def _tagged(sentence: Sentence, raw_tags: Sequence[str], scheme: str, targets: bool, bad: BadRows | None) -> TaggedText:
    """Returns the text of a sentence, given its tags in the usual spelling and as the file has them."""
    text, starts, ends = word_places(sentence.words)
    places = tuple(zip(starts, ends, strict=True))
    if not targets:
        return TaggedText(text, None, sentence.lines[0], places)
    if scheme != WORDS:
        check_types(sentence.tags)
    repaired: list[int] | None = None if bad is None else []
    if scheme == WORDS:
        found = runs_of_equal_tags(sentence.tags)
    else:
        found = entities_in_scheme(sentence.tags, scheme, repaired)
    if bad is not None:
        for place in repaired or ():
            bad.repaired(_REPAIRED, sentence.lines[min(place, len(sentence.lines) - 1)])
    spans = tuple(Span(starts[begin], ends[end - 1], kind) for kind, begin, end in found)
    return TaggedText(text, spans, sentence.lines[0], places, tuple(raw_tags), scheme == WORDS)


def text_of_words(words: Sequence[str]) -> TaggedText:
    """Returns the text of a list of words, without spans."""
    text, starts, ends = word_places(words)
    return TaggedText(text, None, 0, tuple(zip(starts, ends, strict=True)))


# === Tables of words and tags ===


def _has_header(path: files.PathLike, form: TableFormat, columns: Mapping[str, str]) -> bool:
    return bool(columns) or text_name(first_row(path, form)) is not None


def _table_rows(
    path: files.PathLike, form: TableFormat, columns: Mapping[str, str], targets: bool, bad: BadRows
) -> Iterator[_Row]:
    chosen = chosen_columns(columns, first_row(path, form))
    if columns and all(name.isdecimal() for name in columns.values()):
        chosen = {role: columns.get(role) for role in ("text", "label", "sentence")}
    chosen = {"text": chosen["text"] or TEXT_NAMES[0], "label": chosen["label"] or LABEL_NAMES[0], **_others(chosen)}
    if not targets:
        del chosen["label"]
    for row in read_table(path, {role: name for role, name in chosen.items() if name}, form=form, bad=bad):
        try:
            words, tags = _words_and_tags(row.values["text"], row.values["label"] if targets else "")
        except ValueError as problem:
            bad.skip(DataError(str(problem), path, row.line))
            continue
        if not words:
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
            words = [word for word in words if word]
            yield _Row(words, tags or [OUTSIDE] * len(words), row.values.get("sentence", ""), row.line)


def _has_spans(path: files.PathLike, form: TableFormat, columns: Mapping[str, str]) -> bool:
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


def _span_rows(
    path: files.PathLike, form: TableFormat, columns: Mapping[str, str], offsets: str, bad: BadRows
) -> Iterator[TaggedText]:
    """Yields the rows of a table whose labels are lists of spans. An empty cell has none."""
    for row in read_table(path, _text_and_label(path, form, columns), form=form, bad=bad):
        text, cell = row.values["text"], row.values["label"].strip()
        try:
            spans = _cell_spans(cell) if cell not in ("", "[]") else []
            if spans is None or not text.strip():
                raise ValueError(f"expected a text and a list of spans in JSON. Received: {text!r:.40}, {cell!r:.60}")
            yield TaggedText(text, tuple(_spans(text, spans, offsets)), row.line)
        except ValueError as problem:
            bad.skip(DataError(str(problem), path, row.line))


def _text_and_label(path: files.PathLike, form: TableFormat, columns: Mapping[str, str]) -> dict[str, str]:
    """Returns the columns of texts and labels: the given ones, else those with usual names in the header."""
    chosen = chosen_columns(columns, first_row(path, form))
    return {"text": chosen["text"] or TEXT_NAMES[0], "label": chosen["label"] or LABEL_NAMES[0]}


def _others(chosen: Mapping[str, str | None]) -> dict[str, str | None]:
    return {role: name for role, name in chosen.items() if role not in ("text", "label")}


def _words_and_tags(text: str, label: str) -> tuple[list[str], list[str]]:
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


def _of_rows(rows: Sequence[_Row], columns: Mapping[str, str], targets: bool, path: files.PathLike) -> list[Sentence]:
    """Returns the sentences of a table that has one sentence in each row, or one word in each row.

    Successive rows with one word each belong to the same sentence while the column of sentences is empty or unchanged.
    Without such a column, an empty line ends a sentence.

    Raises:
        DataError: Each row has one word, and neither a column nor empty lines separate the sentences.
    """
    named = any(row.sentence.strip() for row in rows)
    single = len(rows) > 1 and all(len(row.words) == 1 for row in rows)
    if not single and not (named and columns.get("sentence")):
        return [Sentence(row.words, row.tags, [row.line] * len(row.words)) for row in rows]
    gaps = any(after.line > before.line + 1 for before, after in itertools.pairwise(rows))
    if not named and not gaps:
        if not targets:
            return [Sentence(row.words, row.tags, [row.line]) for row in rows]
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


# === JSON ===


def _read_json(
    path: files.PathLike,
    form: TableFormat,
    columns: Mapping[str, str],
    targets: bool,
    offsets: str,
    bad: BadRows,
) -> Iterator[TaggedText | Sentence]:
    """Yields the texts and sentences of a JSON file, in order. Objects with one word each are joined to sentences."""
    rows: list[_Row] = []
    found = read_values(path, form=form, bad=bad)
    for line, element in ((line, element) for line, value in found for element in elements(value)):
        values = as_object(element)
        try:
            if isinstance(values, list) and not targets:
                yield _of_words(values, None, line)
                continue
            if not isinstance(values, dict):
                raise ValueError(f"expected a JSON object a line. Received {type(values).__name__}")
            chosen = chosen_columns(columns, values)
            text = _value(values, chosen["text"], columns.get("text"), TEXT_NAMES)
            label = _value(values, chosen["label"], columns.get("label"), LABEL_NAMES) if targets else None
            if isinstance(text, list):
                yield _of_words(text, label, line)
            elif isinstance(text, str) and (isinstance(label, str) or (chosen["sentence"] and not targets)):
                # The strings hold words and tags separated by spaces, or a single word and its tag.
                words, tags = _words_and_tags(text, label if isinstance(label, str) else "")
                sentence = _of_words(words, tags if isinstance(label, str) else None, line)
                name = str(values.get(chosen["sentence"] or "", "")).removesuffix(".0")
                rows.append(_Row(sentence.words, sentence.tags, name, line))
            elif isinstance(text, str) and text.strip():
                yield TaggedText(text, tuple(_spans(text, label, offsets)) if targets else None, line)
            else:
                raise ValueError(f"expected a text, or a list of words. Received: {text!r:.60}")
        except ValueError as problem:
            bad.skip(DataError(str(problem), path, line))
    yield from _of_rows(rows, columns, targets, path)


def _of_words(words: list[Any], tags: Any, line: int) -> Sentence:
    """Returns a sentence of words and tags; if `tags` is None, all tags are O."""
    if not words or not all(isinstance(word, str) and word.strip() for word in words):
        raise ValueError(f"expected a text, or a list of words. Received: {words!r:.60}")
    tags = [OUTSIDE] * len(words) if tags is None else tags
    if not isinstance(tags, list) or len(tags) != len(words) or not all(isinstance(tag, str) for tag in tags):
        raise ValueError(
            f"expected a tag, such as B-PER or O, for each of the {len(words)} words. Received: {tags!r:.60}"
        )
    return Sentence([word.strip() for word in words], tags, [line] * len(words))


def _value(values: Mapping[str, Any], name: str | None, given: str | None, usual: Sequence[str]) -> Any:
    if name is not None and name in values:
        return values[name]
    names = [given] if given else usual
    raise ValueError(f"there is no key {' or '.join(map(repr, names))}; the object has {', '.join(map(repr, values))}")


def _spans(text: str, label: Any, offsets: str) -> Iterator[Span]:
    """Yields the spans of a label in order of their starts."""
    characters = offset_reader(text, offsets)
    spans = []
    for start, end, kind, surface in raw_spans(label):
        whole = all(isinstance(place, int) and not isinstance(place, bool) for place in (start, end))
        if not whole or not isinstance(kind, str) or not kind:
            raise ValueError(f"expected a span of two character offsets and a label. Received: {[start, end, kind]!r}")
        first, last = characters(start), characters(end)
        if not 0 <= first < last <= len(text):
            raise ValueError(
                f"expected a span inside the text, of {len(text)} characters. Received: {kind} from {start} to {end}"
                f"{_utf_16_hint(text, offsets)}"
            )
        if surface is not None and text[first:last] != surface:
            raise ValueError(
                f"expected {surface!r:.40} at characters {first} to {last}. The text has {text[first:last]!r:.40} "
                f"there{_utf_16_hint(text, offsets)}"
            )
        spans.append(Span(first, last, kind))
    yield from sorted(spans, key=lambda span: (span.start, span.end))


def _utf_16_hint(text: str, offsets: str) -> str:
    """Returns the advice for a file whose offsets may be units of UTF-16; else ""."""
    wide = offsets == "characters" and any(ord(character) > 0xFFFF for character in text)
    return "; if offsets count units of UTF-16, give --offsets utf-16" if wide else ""
