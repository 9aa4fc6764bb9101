"""Reads tagged texts from JSON: spans with offsets, and words with tags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kbert import files
from kbert.errors import DataError
from kbert.sources.bad_rows import BadRows
from kbert.sources.rows import read_values
from kbert.sources.table_format import TableFormat
from kbert.tasks.readers.annotators import UNFINISHED
from kbert.tasks.readers.span_exports import as_object, elements, is_unfinished, read_spans
from kbert.tasks.readers.tag_columns import LABEL_NAMES, TEXT_NAMES, chosen_columns
from kbert.tasks.readers.tag_schemes import OUTSIDE
from kbert.tasks.readers.tag_tables import WordRow, sentences_of_rows, words_and_tags
from kbert.tasks.readers.tagged_texts import TaggedText
from kbert.tasks.readers.tagged_words import Sentence


def read_tag_json(
    path: files.PathLike,
    form: TableFormat,
    columns: Mapping[str, str],
    targets: bool,
    offsets: str,
    bad: BadRows,
) -> Iterator[TaggedText | Sentence]:
    """Yields the texts and sentences of a JSON file, in order. Objects with one word each are joined to sentences.

    With targets, texts that an annotator rejected or did not finish are left out, and counted as repairs.

    Args:
        path: The file.
        form: The format of the file.
        columns: The keys that the user gave, by role.
        targets: Whether spans or tags are read.
        offsets: The unit of the offsets of spans.
        bad: Counts the texts that are skipped.

    Raises:
        DataError: A text is invalid, with file and line.
    """
    rows: list[WordRow] = []
    found = read_values(path, form=form, bad=bad)
    for line, element in ((line, element) for line, value in found for element in elements(value)):
        if targets and is_unfinished(element):
            bad.repaired(UNFINISHED, line)
            continue
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
                words, tags = words_and_tags(text, label if isinstance(label, str) else "")
                sentence = _of_words(words, tags if isinstance(label, str) else None, line)
                name = str(values.get(chosen["sentence"] or "", "")).removesuffix(".0")
                rows.append(WordRow(sentence.words, sentence.tags, name, line))
            elif isinstance(text, str) and text.strip():
                yield TaggedText(text, tuple(read_spans(text, label, offsets)) if targets else None, line)
            else:
                raise ValueError(f"expected a text, or a list of words. Received: {text!r:.60}")
        except ValueError as problem:
            bad.skip(DataError(str(problem), path, line))
    yield from sentences_of_rows(rows, columns, targets, path)


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
