"""Chooses the texts of each example, as ranges in the concatenated ids of a chunk.

The objectives are next sentence prediction ("nsp": BERT, arXiv 1810.04805, appendix A.2), sentence order prediction
("sop": ALBERT, arXiv 1909.11942, section 3.1), and neither ("none": full sentences of one document; RoBERTa,
arXiv 1907.11692, section 4.2, DOC-SENTENCES).
"""

from __future__ import annotations

import dataclasses
import random
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import numpy as np

from kbert.errors import UsageError
from kbert.text.truncation import truncated_lengths

OBJECTIVES = ("nsp", "sop", "none")
_NO_TEXT = (0, 0)


@dataclasses.dataclass(frozen=True)
class PairSettings:
    """The settings for choosing the texts of examples.

    Args:
        sequence_length: The maximum length of an example in tokens, including special tokens.
        short_probability: The fraction of documents whose examples get a random, shorter target length, so that the
            model also learns from short inputs.
        objective: "nsp": half of the second texts come from another document. "sop": half of the pairs are swapped.
            "none": examples have one text.
        random_probability: The fraction of pairs with label 1: a random second text, or swapped texts.

    Raises:
        UsageError: `objective` or `short_probability` is invalid.
    """

    sequence_length: int = 128
    short_probability: float = 0.1
    objective: str = "nsp"
    random_probability: float = 0.5

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise UsageError(f"objective must be one of {', '.join(OBJECTIVES)}. Received: {self.objective!r}")
        if not 0 <= self.short_probability <= 1:
            raise UsageError(f"short_probability must be in [0, 1]. Received: {self.short_probability}")

    @property
    def room(self) -> int:
        """The maximum number of tokens in the texts of an example, without special tokens."""
        return self.sequence_length - (2 if self.objective == "none" else 3)


@dataclasses.dataclass(frozen=True)
class Pairs:
    """The texts and labels of the examples of a chunk.

    Args:
        places: The begin and end of the first text, then those of the second text, int64 [N, 4]. In examples of one
            text, the second text is empty.
        labels: 1 if the second text is random or the texts are swapped, else 0: int64 [N].
    """

    places: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def shuffled(self, rng: random.Random) -> Pairs:
        """Returns the examples in a random order."""
        order = list(range(len(self)))
        rng.shuffle(order)
        return Pairs(self.places[order], self.labels[order])


def make_pairs(
    segment_ends: Sequence[int],
    document_ends: Sequence[int],
    rng: random.Random,
    settings: PairSettings,
    *,
    passes: int = 1,
) -> Pairs:
    """Chooses the examples of some documents, in the order of the text.

    Every segment is used at least once: segments that a random second text replaces are used in the next example. The
    exception is a single token at the end of a document. A random text always comes from another document; with "nsp",
    there are no examples if only one document has text.

    Args:
        segment_ends: The end of each segment (a sentence) in the concatenated ids. Segments are not empty.
        document_ends: The number of segments up to the end of each document.
        rng: The generator for all random choices.
        settings: The settings for choosing texts.
        passes: The number of passes over the documents.
    """
    bounds = [0, *segment_ends]
    begins = [0, *document_ends[:-1]]
    documents = [(begin, end) for begin, end in zip(begins, document_ends, strict=True) if begin < end]
    found: list[tuple[int, int, int, int, int]] = []
    if settings.objective == "none":
        for _ in range(passes):
            for begin, end in documents:
                _full_texts(bounds, begin, end, rng, settings, found)
    elif settings.objective == "sop" or len(documents) > 1:
        for _ in range(passes):
            for index in range(len(documents)):
                _document_pairs(bounds, documents, index, rng, settings, found)
    table = np.array(found, np.int64).reshape(-1, 5)
    return Pairs(table[:, :4], table[:, 4])


def _target(rng: random.Random, settings: PairSettings) -> int:
    if rng.random() < settings.short_probability:
        return rng.randint(2, settings.room)
    return settings.room


def _full_texts(
    bounds: Sequence[int],
    position: int,
    end: int,
    rng: random.Random,
    settings: PairSettings,
    found: list[tuple[int, int, int, int, int]],
) -> None:
    """Adds the examples of a document, each of as many whole consecutive segments as fit."""
    target = _target(rng, settings)
    while position < end:
        begin = bounds[position]
        following = min(bisect_right(bounds, begin + target) - 1, end)
        position = max(following, position + 1)
        found.append((begin, bounds[position], *_NO_TEXT, 0))


def _document_pairs(
    bounds: Sequence[int],
    documents: Sequence[tuple[int, int]],
    index: int,
    rng: random.Random,
    settings: PairSettings,
    found: list[tuple[int, int, int, int, int]],
) -> None:
    position, document_end = documents[index]
    uniform, room, swaps = rng.random, settings.room, settings.objective == "sop"
    target = _target(rng, settings)
    while position < document_end:
        start = position
        begin = bounds[start]
        position = min(bisect_left(bounds, begin + target, start + 1), document_end)
        end = bounds[position]
        label = uniform() < settings.random_probability
        is_random = label and not swaps
        if position - start > 1:
            middle = start + 1 + int(uniform() * (position - start - 1))
            cut = bounds[middle]
            if is_random:
                position = middle  # the segments after the cut are used in the next example
        elif is_random:
            cut = end
        else:
            # A single segment is cut in two. (The original release uses a random second text for all of these, which
            # makes more than half of the labels 1.)
            if end - begin < 2:
                continue
            cut = begin + 1 + int(uniform() * (end - begin - 1))
        first, second = (begin, cut), (cut, end)
        if is_random:
            second = _random_text(bounds, documents, index, rng, max(1, target - (cut - begin)))
        elif label:
            first, second = second, first
        excess = first[1] - first[0] + second[1] - second[0] - room
        if excess > 0:
            first, second = _truncate(first, second, room, rng)
        found.append((*first, *second, int(label)))


def _random_text(
    bounds: Sequence[int], documents: Sequence[tuple[int, int]], index: int, rng: random.Random, target: int
) -> tuple[int, int]:
    """Returns a range of segments of another document than `index`, from a random segment to `target` tokens later."""
    other = int(rng.random() * (len(documents) - 1))
    begin, end = documents[other + (other >= index)]
    start = begin + int(rng.random() * (end - begin))
    stop = min(bisect_left(bounds, bounds[start] + target, start + 1), end)
    return bounds[start], bounds[stop]


def _truncate(
    first: tuple[int, int], second: tuple[int, int], room: int, rng: random.Random
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Shortens the longer text, each time by a token at its front or its back at random, until both texts fit."""
    lengths = truncated_lengths(first[1] - first[0], second[1] - second[0], room)
    cut = []
    for (begin, end), length in zip((first, second), lengths, strict=True):
        excess = end - begin - length
        front = begin + (rng.getrandbits(excess).bit_count() if excess else 0)
        cut.append((front, front + length))
    return cut[0], cut[1]
