"""The labels of words that a tagging model learns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kbert.tasks.readers.lost_spans import without_overlaps
from kbert.tasks.readers.tag_schemes import OUTSIDE, letter_at, split_tag
from kbert.tasks.readers.tagged_texts import TaggedText
from kbert.tasks.readers.word_tags import NO_TAG

IGNORED = -1
"""The label of tokens that the loss ignores.

These are special tokens, pieces after the first of a word, and words that count in another window.
"""

_NEAREST = {"B": "BISE", "I": "IEBS", "E": "EIBS", "S": "SBIE"}
"""The letters that may stand for a letter, best first.

A model of another package has no tag that did not occur in its training data, such as B-PER in IOB1, and may spell tags
in another way.
"""


def labels_of_spans(
    names: Sequence[str], examples: Sequence[TaggedText], rows: np.ndarray, starts: np.ndarray
) -> np.ndarray:
    """Returns the label of each word, given by the span that its first character is in.

    Of spans that overlap, the longest is learnt.

    Args:
        names: The tags by index, such as O, B-PER, I-PER; also those of models of other packages, such as U-PER or PER.
        examples: The texts with their spans, of types that the tags have.
        rows: The index of the text of each of the N words, int [N], ascending.
        starts: The offset of the first character of each word, int [N], ascending within a text.

    Returns:
        The indices of the tags, int32 [N].
    """
    ids: dict[tuple[str, str], int] = {}
    for index, name in enumerate(names):
        ids.setdefault(split_tag(name), index)
    outside = ids.get((OUTSIDE, ""), 0)
    chosen = [without_overlaps(example.spans or ()) for example in examples]
    spans = [(row, span) for row, row_spans in enumerate(chosen) for span in row_spans]
    if not spans:
        return np.full(len(rows), outside, np.int32)
    stretch = _stretch(examples)
    span_starts = np.array([row * stretch + span.start for row, span in spans])
    span_ends = np.array([row * stretch + span.end for row, span in spans])
    places = rows.astype(np.int64) * stretch + starts
    which = np.searchsorted(span_starts, places, side="right") - 1
    which = np.where((which >= 0) & (places < span_ends[which]), which, -1)
    first = np.concatenate([[True], which[1:] != which[:-1]])[: len(which)]
    last = np.concatenate([which[1:] != which[:-1], [True]])[: len(which)]
    scheme = _scheme(names)
    table = np.zeros((len(spans), 2, 2), np.int32)
    for index, (_, span) in enumerate(spans):
        for is_first in (False, True):
            for is_last in (False, True):
                letter = letter_at(is_first, is_last, scheme)
                known = next(ids[other, span.label] for other in _NEAREST[letter] if (other, span.label) in ids)
                table[index, int(is_first), int(is_last)] = known
    labels = np.where(which < 0, outside, table[which, first.astype(int), last.astype(int)])
    return labels.astype(np.int32)


def labels_of_given_words(
    names: Sequence[str], examples: Sequence[TaggedText], rows: np.ndarray, starts: np.ndarray
) -> np.ndarray:
    """Returns the tag of the given word that each word of the tokenizer is in; IGNORED for words without a tag.

    Args:
        names: The tags by index, such as NOUN, VERB.
        examples: The texts with the tags of their given words.
        rows: The index of the text of each of the N words of the tokenizer, int [N].
        starts: The offset of the first character of each of these words, int [N].

    Returns:
        The indices of the tags, int32 [N].
    """
    ids = {name: index for index, name in enumerate(names)} | {NO_TAG: IGNORED}
    stretch = _stretch(examples)
    begins = np.array([row * stretch + start for row, each in enumerate(examples) for start, _ in each.words])
    tags = np.array([ids[tag] for example in examples for tag in example.tags or ()], np.int32)
    which = np.searchsorted(begins, rows.astype(np.int64) * stretch + starts, side="right") - 1
    return tags[which]


def _stretch(examples: Sequence[TaggedText]) -> int:
    """Returns a distance between texts in one long text, so that offsets of different texts never overlap."""
    return 1 + max(len(example.text) for example in examples)


def _scheme(names: Sequence[str]) -> str:
    letters = {split_tag(name)[0] for name in names}
    return "bioes" if len(letters) > 3 else "iob2" if "B" in letters else "io"
