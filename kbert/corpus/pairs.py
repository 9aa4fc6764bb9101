"""Sentence pairs for next sentence prediction, as in the BERT paper (arXiv 1810.04805, appendix A.2)."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Sequence

from kbert.text.truncation import truncated_lengths

Segment = Sequence[int]
"""The token ids of a sentence."""


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two texts as token ids, without special tokens, and whether the second is a random one."""

    first: list[int]
    second: list[int]
    is_random: bool


@dataclasses.dataclass(frozen=True)
class PairSettings:
    """How pairs are made.

    Args:
        sequence_length: Longest example, [CLS] and both [SEP] included.
        short_probability: Part of the documents whose pairs aim at a random, shorter length, so that
            the model also meets short inputs.
        random_probability: Part of the pairs whose second text is a random one.
    """

    sequence_length: int = 128
    short_probability: float = 0.1
    random_probability: float = 0.5

    @property
    def room(self) -> int:
        """Most tokens of both texts."""
        return self.sequence_length - 3


def make_pairs(documents: Sequence[Sequence[Segment]], rng: random.Random, settings: PairSettings) -> Iterator[Pair]:
    """Makes the pairs of some documents, each a list of segments, none of them empty.

    Every segment is used at least once, but a single token that is left alone: those that a random second text
    displaced come again. The random text
    is always from another of `documents`, so at least two of them must hold segments.
    """
    filled = [document for document in documents if document]
    for index in range(len(filled)):
        yield from _document_pairs(filled, index, rng, settings)


def _document_pairs(
    documents: Sequence[Sequence[Segment]], index: int, rng: random.Random, settings: PairSettings
) -> Iterator[Pair]:
    document = documents[index]
    target = settings.room
    if rng.random() < settings.short_probability:
        target = rng.randint(2, settings.room)
    position = 0
    while position < len(document):
        begin, length = position, 0
        while position < len(document) and length < target:
            length += len(document[position])
            position += 1
        chunk = document[begin:position]
        is_random = rng.random() < settings.random_probability
        if len(chunk) > 1:
            cut = rng.randint(1, len(chunk) - 1)
            first, second = _join(chunk[:cut]), _join(chunk[cut:])
            if is_random:
                position = begin + cut  # what was to follow comes again
        elif is_random:
            first, second = list(chunk[0]), []
        else:
            # One segment alone has nothing to follow it: it is cut in two. (The original calls all of these
            # random, which makes more than half of the labels 1.)
            if length < 2:
                continue
            cut = rng.randint(1, length - 1)
            first, second = list(chunk[0][:cut]), list(chunk[0][cut:])
        if is_random:
            second = _random_text(documents, index, rng, max(1, target - len(first)))
        yield Pair(*_truncate(first, second, settings.room, rng), is_random)


def _random_text(documents: Sequence[Sequence[Segment]], index: int, rng: random.Random, target: int) -> list[int]:
    """Segments of another document than `index`, from a random place on, until there are `target` tokens."""
    other = rng.randrange(len(documents) - 1)
    document = documents[other + (other >= index)]
    tokens: list[int] = []
    for segment in document[rng.randrange(len(document)) :]:
        tokens += segment
        if len(tokens) >= target:
            break
    return tokens


def _join(segments: Sequence[Segment]) -> list[int]:
    return [token for segment in segments for token in segment]


def _truncate(first: list[int], second: list[int], room: int, rng: random.Random) -> tuple[list[int], list[int]]:
    """Cuts the longer text, each token at random from its front or its back, until both fit."""
    lengths = truncated_lengths(len(first), len(second), room)
    cut = []
    for text, length in zip((first, second), lengths, strict=True):
        excess = len(text) - length
        front = rng.getrandbits(excess).bit_count() if excess else 0
        cut.append(text[front : front + length])
    return cut[0], cut[1]
