"""Reads tagged texts in all formats: CoNLL, JSON with offsets, tables of words and tags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from kbert import files
from kbert.errors import DataError
from kbert.sources.bad_rows import BadRows
from kbert.sources.table_format import TableFormat, check_there, file_kind
from kbert.tasks.readers.conll import read_conll
from kbert.tasks.readers.tag_json import read_tag_json
from kbert.tasks.readers.tag_schemes import TagProblem, check_types, detect_scheme, entities_in_scheme
from kbert.tasks.readers.tag_tables import has_header, has_spans, holds_texts, sentences_of_rows, span_rows, table_rows
from kbert.tasks.readers.tagged_texts import Span, TaggedText
from kbert.tasks.readers.tagged_words import Sentence, with_usual_outside, with_usual_tags, word_places
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
_REPAIRED = "tags such as I-X that nothing begins, or entities without an end, were read as conlleval reads them"


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
        found = read_tag_json(path, form, columns, targets, offsets, bad)
    elif kind in ("tsv", "csv", "xlsx") and has_header(path, form, columns):
        if targets and has_spans(path, form, columns):
            found = span_rows(path, form, columns, offsets, bad)
        else:
            rows, whole = list(table_rows(path, form, columns, targets, bad)), holds_texts(path, form, columns)
            found = iter(sentences_of_rows(rows, columns, targets, path, holds_texts=whole))
    else:
        found = read_conll(path, columns, form, targets, bad)
    items = list(found)
    read = [item for item in items if isinstance(item, Sentence)]
    if targets and scheme != WORDS:
        read = with_usual_outside(read, path)
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
