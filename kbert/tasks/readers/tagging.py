"""Texts with spans, out of the formats that people tag in: CoNLL, JSON lines, tables of words and tags."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from kbert import files
from kbert.errors import DataError
from kbert.tasks.readers.bad_rows import BadRows
from kbert.tasks.readers.table_format import TableFormat, check_there
from kbert.tasks.readers.tables import Row, file_kind, first_row, read_objects, read_table
from kbert.tasks.readers.tag_schemes import OUTSIDE, TagProblem, detect_scheme, entities_in_scheme
from kbert.text.replacement_table import is_cjk

CONLL_ENDINGS = (".conll", ".conll03", ".bio", ".iob", ".iob2", ".bioes", ".bmes", ".train", ".dev", ".test")
_TEXT_NAMES = ("text", "text_a", "sentence", "tokens")
_LABEL_NAMES = ("label", "labels", "spans", "entities", "tags", "ner_tags")
ONLY_TYPE = "entity"
"""Of tags that are letters alone."""
_LETTERS = frozenset("BIESMLU")
_LETTER_FIRST = re.compile(r"[BIESMLU]_.+")
_LETTER_LAST = re.compile(r"(?![BIESMLU]-).+[-_][BIESMLU]")
_SEPARATOR = "\x02"
"""Between the characters of some published tables."""


@dataclasses.dataclass(frozen=True)
class Span:
    """A part of a text with a label.

    Args:
        start: Its first character.
        end: The character after its last.
        label: Its type.
    """

    start: int
    end: int
    label: str


@dataclasses.dataclass(frozen=True)
class TaggedText:
    """A text and what is to be found in it.

    Args:
        text: The text.
        spans: What is in it; None where it is unknown.
        line: The 1-based line where it starts; 0 for none.
    """

    text: str
    spans: tuple[Span, ...] | None = None
    line: int = 0


@dataclasses.dataclass(frozen=True)
class _Sentence:
    """Words with tags, each with its line."""

    words: list[str]
    tags: list[str]
    lines: list[int]


def read_tagged_texts(
    path: files.PathLike,
    columns: Mapping[str, str],
    *,
    scheme: str,
    form: TableFormat | None = None,
    targets: bool,
    bad: BadRows,
) -> list[TaggedText]:
    """Reads a file of any of the formats; its ending and its first line tell which.

    Args:
        path: A .jsonl file of objects with offsets, or with words and tags in lists or in strings separated by spaces;
            a .tsv or .csv table with a header and such strings in its cells; any other file is CoNLL, with a word and
            its tag in each line and an empty line between sentences.
        columns: The columns "text" and "label", if they have other names than usual.
        scheme: Of the tags, or "auto".
        form: The encoding.
        targets: Whether labels are wanted.
        bad: Takes what cannot be read.
    """
    form = form or TableFormat()
    kind = file_kind(path)
    check_there(path)
    sentences: Iterator[TaggedText | _Sentence]
    if kind == "json":
        sentences = _read_json(path, form, columns, targets, bad)
    elif kind in ("tsv", "csv") and _has_header(path, form, columns):
        if not targets:
            rows = _rows(path, form, columns, bad=bad)
            return [TaggedText(join_words(_split(row.values["text"])), None, row.line) for row in rows]
        sentences = _table_sentences(path, form, columns, bad)
    else:
        sentences = _conll_sentences(path, form, targets, bad)
    found = _with_usual_tags(list(sentences), path)
    if scheme == "auto":
        scheme = detect_scheme(sentence.tags for sentence in found if isinstance(sentence, _Sentence))
    texts = []
    for sentence in found:
        if isinstance(sentence, TaggedText):
            texts.append(sentence)
            continue
        try:
            texts.append(_tagged(sentence, scheme, targets))
        except TagProblem as problem:
            line = sentence.lines[min(problem.place, len(sentence.lines) - 1)]
            bad.skip(DataError(str(problem), path, line))
    return texts


def _with_usual_tags(found: list[TaggedText | _Sentence], path: files.PathLike) -> list[TaggedText | _Sentence]:
    """Sentences whose tags are "B-PER" or "PER".

    Where all tags of the file are of that form, letters alone, as in the segmentation of words, get a type, and B_PER
    becomes B-PER. Beside others such a tag is a type.

    Raises:
        DataError: All tags have the letter behind: they would be as many types, and all of it learnt wrong.
    """
    sentences = [sentence for sentence in found if isinstance(sentence, _Sentence)]
    tags = {tag for sentence in sentences for tag in sentence.tags} - {OUTSIDE}
    if not tags:
        return found
    usual: Callable[[str], str]
    if all(tag in _LETTERS for tag in tags):
        usual = f"{{}}-{ONLY_TYPE}".format
    elif all(_LETTER_FIRST.fullmatch(tag) for tag in tags) and any(tag.startswith(("B_", "I_")) for tag in tags):
        usual = _hyphened
    elif all(_LETTER_LAST.fullmatch(tag) for tag in tags) and any(tag[-1] == "B" for tag in tags):
        line, tag = next(
            (line, tag)
            for sentence in sentences
            for line, tag in zip(sentence.lines, sentence.tags, strict=True)
            if tag != OUTSIDE
        )
        problem = f"expected tags with the letter first, such as {tag[-1]}-{tag[:-2]}. Received {tag!r}"
        raise DataError(problem, path, line)
    else:
        return found
    return [
        dataclasses.replace(each, tags=[tag if tag == OUTSIDE else usual(tag) for tag in each.tags])
        if isinstance(each, _Sentence)
        else each
        for each in found
    ]


def _hyphened(tag: str) -> str:
    return f"{tag[0]}-{tag[2:]}"


def join_words(words: Sequence[str]) -> str:
    """A text of words: a space between them, but for two ideographs."""
    return "".join(space + word for space, word in _spaced(words))


def _spaced(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    before = ""
    for word in words:
        if not word:
            continue
        close = not before or (is_cjk(ord(before[-1])) and is_cjk(ord(word[0])))
        yield "" if close else " ", word
        before = word


def _tagged(sentence: _Sentence, scheme: str, targets: bool) -> TaggedText:
    starts, ends = [], []
    text = ""
    for space, word in _spaced(sentence.words):
        text += space
        starts.append(len(text))
        text += word
        ends.append(len(text))
    if not targets:
        return TaggedText(text, None, sentence.lines[0])
    found = entities_in_scheme(sentence.tags, scheme)
    spans = tuple(Span(starts[begin], ends[end - 1], kind) for kind, begin, end in found)
    return TaggedText(text, spans, sentence.lines[0])


# === CoNLL ===


def _conll_sentences(path: files.PathLike, form: TableFormat, targets: bool, bad: BadRows) -> Iterator[_Sentence]:
    sentence = _Sentence([], [], [])
    width = 0
    broken = False
    skipped = bad.count
    for number, line in itertools.chain(form.numbered_lines(path, bad), [(0, "")]):
        # A line in another encoding was left out before this one: it may have been a word of the sentence.
        broken |= bad.count > skipped
        skipped = bad.count
        if not line.strip() or line.startswith("-DOCSTART-"):
            if sentence.words and not broken:
                yield sentence
            sentence, broken = _Sentence([], [], []), False
            continue
        cells = line.split("\t") if "\t" in line else line.split()
        fewest = 2 if targets else 1
        if fewest <= len(cells) <= 4:  # a bad first line does not tell how wide the others are
            width = width or len(cells)
        if len(cells) != width or not fewest <= len(cells) <= 4 or not cells[0].strip() or not cells[-1].strip():
            expected = f"{width} columns" if width else "2 to 4 columns"
            problem = f"expected {expected}: a word, and its tag last. Received: {line[:60]!r}"
            bad.skip(DataError(problem, path, number))  # which breaks the sentence, too
            continue
        sentence.words.append(cells[0].strip())
        sentence.tags.append(cells[-1].strip())
        sentence.lines.append(number)


# === Tables of words and tags ===


def _has_header(path: files.PathLike, form: TableFormat, columns: Mapping[str, str]) -> bool:
    return bool(columns) or any(name in first_row(path, form) for name in _TEXT_NAMES)


def _rows(
    path: files.PathLike, form: TableFormat, columns: Mapping[str, str], *roles: str, bad: BadRows
) -> Iterator[Row]:
    header = first_row(path, form)
    usual = {"text": _TEXT_NAMES, "label": _LABEL_NAMES}
    chosen = {
        role: columns.get(role) or next((name for name in usual[role] if name in header), usual[role][0])
        for role in ("text", *roles)
    }
    return read_table(path, chosen, form=form, bad=bad)


def _split(cell: str) -> list[str]:
    return cell.split(_SEPARATOR) if _SEPARATOR in cell else cell.split()


def _table_sentences(
    path: files.PathLike, form: TableFormat, columns: Mapping[str, str], bad: BadRows
) -> Iterator[_Sentence]:
    for row in _rows(path, form, columns, "label", bad=bad):
        words, tags = _split(row.values["text"]), _split(row.values["label"])
        if not words:
            bad.skip(DataError("expected a text. Received an empty one", path, row.line))
        elif len(words) != len(tags):
            bad.skip(
                DataError(
                    f"expected as many tags as words. Received: {len(tags)} tags, {len(words)} words", path, row.line
                )
            )
        elif not all(words) or not all(tags):
            bad.skip(DataError("expected a word and a tag between two marks. Received an empty one", path, row.line))
        else:
            yield _Sentence(words, tags, [row.line] * len(words))


# === JSON lines ===


def _read_json(
    path: files.PathLike, form: TableFormat, columns: Mapping[str, str], targets: bool, bad: BadRows
) -> Iterator[TaggedText | _Sentence]:
    for line, values in read_objects(path, form=form, bad=bad):
        try:
            text = _value(values, columns.get("text"), _TEXT_NAMES)
            label = _value(values, columns.get("label"), _LABEL_NAMES) if targets else None
            if isinstance(text, list):
                yield _of_words(text, label, line)
            elif isinstance(text, str) and isinstance(label, str):  # words and tags in strings, separated by spaces
                yield _of_words(_split(text), _split(label), line)
            elif isinstance(text, str) and text.strip():
                yield TaggedText(text, tuple(_spans(text, label)) if targets else None, line)
            else:
                raise ValueError(f"expected a text, or a list of words. Received: {text!r:.60}")
        except ValueError as problem:
            bad.skip(DataError(str(problem), path, line))


def _of_words(words: list[Any], tags: Any, line: int) -> _Sentence:
    """A sentence of a list of words and one of tags; no tags where none are wanted."""
    if not words or not all(isinstance(word, str) and word.strip() for word in words):
        raise ValueError(f"expected a text, or a list of words. Received: {words!r:.60}")
    tags = [OUTSIDE] * len(words) if tags is None else tags
    if not isinstance(tags, list) or len(tags) != len(words) or not all(isinstance(tag, str) for tag in tags):
        raise ValueError(
            f"expected a tag, such as B-PER or O, for each of the {len(words)} words. Received: {tags!r:.60}"
        )
    return _Sentence([word.strip() for word in words], tags, [line] * len(words))


def _value(values: Mapping[str, Any], name: str | None, usual: Sequence[str]) -> Any:
    names = [name] if name else usual
    for each in names:
        if each in values:
            return values[each]
    raise ValueError(f"there is no key {' or '.join(map(repr, names))}; the object has {', '.join(map(repr, values))}")


def _spans(text: str, label: Any) -> Iterator[Span]:
    """Spans in order of their start.

    An object is {type: {surface: [[first, last]]}}, with inclusive ends; a list has {"start", "end", "label"} or
    [start, end, label], with exclusive ones.
    """
    spans = list(_of_types(label) if isinstance(label, dict) else _of_list(label))
    for start, end, kind, surface in spans:
        whole = all(isinstance(place, int) and not isinstance(place, bool) for place in (start, end))
        if not whole or not isinstance(kind, str) or not kind:
            raise ValueError(f"expected a span of two character offsets and a label. Received: {[start, end, kind]!r}")
        if not 0 <= start < end <= len(text):
            raise ValueError(
                f"expected a span inside the text, of {len(text)} characters. Received: {kind} from {start} to {end}"
            )
        if surface is not None and text[start:end] != surface:
            raise ValueError(
                f"expected {surface!r:.40} at characters {start} to {end}. The text has {text[start:end]!r:.40} there"
            )
    yield from sorted(
        (Span(start, end, kind) for start, end, kind, _ in spans), key=lambda span: (span.start, span.end)
    )


def _of_types(label: Mapping[str, Any]) -> Iterator[tuple[Any, Any, Any, str | None]]:
    for kind, surfaces in label.items():
        if not isinstance(surfaces, dict):
            raise ValueError(f"expected {{type: {{surface: [[first, last]]}}}}. Received: {label!r:.60}")
        for surface, places in surfaces.items():
            for place in places if isinstance(places, list) else [places]:
                if not isinstance(place, list) or len(place) != 2 or not isinstance(place[1], int):
                    raise ValueError(f"expected [first, last] for {surface!r:.40}. Received: {place!r:.40}")
                yield place[0], place[1] + 1, kind, surface


def _of_list(label: Any) -> Iterator[tuple[Any, Any, Any, str | None]]:
    if not isinstance(label, list):
        raise ValueError(f"expected a list of spans, or an object of types. Received: {label!r:.60}")
    for span in label:
        if isinstance(span, dict):
            kind = next((span[name] for name in ("label", "type", "entity") if name in span), None)
            yield span.get("start"), span.get("end"), kind, span.get("text")
        elif isinstance(span, list) and len(span) == 3:
            yield span[0], span[1], span[2], None
        else:
            raise ValueError(f'expected {{"start", "end", "label"}} or [start, end, label]. Received: {span!r:.60}')
