"""Data augmentation by word replacement: copies of training texts in which some words are replaced."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from kbert import files
from kbert.errors import DataError, UsageError
from kbert.options import check_option
from kbert.tasks.text_task import Example
from kbert.text.replacement_table import is_cjk
from kbert.training.options import FinetuneOptions

_PART = 0.15
"""The fraction of the words of a text that are replaced. At least one word is replaced."""

Replace = Callable[[Sequence[str], np.random.Generator], list[str]]
"""A function that replaces words in texts. It returns a text unchanged if no word can be replaced."""


def augmented(examples: Sequence[Any], ways: Sequence[Replace], *, copies: int = 1, seed: int = 0) -> list[Any]:
    """Returns the examples, followed by changed copies with the same targets.

    Args:
        examples: The examples of a task on texts or pairs of texts.
        ways: The functions that replace words.
        copies: The number of copies of each example for each function. Copies without a change are left out.
        seed: Seeds the choice of words and of their replacements.

    Raises:
        UsageError: `copies` is invalid, or the task has other examples.
    """
    check_option(FinetuneOptions, "augment_copies", copies)
    if not ways:
        return list(examples)
    if not all(isinstance(example, Example) for example in examples):
        raise UsageError(
            "augmentation is for tasks on texts and pairs of texts, because the targets of other tasks depend on "
            "single words"
        )
    changed = [
        copy
        for number, replace in enumerate(ways)
        for repetition in range(copies)
        for copy in _copies(examples, replace, np.random.default_rng([seed, number, repetition]))
    ]
    return [*examples, *changed]


def _copies(examples: Sequence[Example], replace: Replace, rng: np.random.Generator) -> list[Example]:
    texts = replace([example.text for example in examples], rng)
    pairs: Sequence[str | None] = [example.pair for example in examples]
    if any(pairs):
        pairs = replace([pair or "" for pair in pairs], rng)
    changed = [
        dataclasses.replace(example, text=text, pair=None if example.pair is None else pair)
        for example, text, pair in zip(examples, texts, pairs, strict=True)
    ]
    return [copy for copy, example in zip(changed, examples, strict=True) if copy != example]


def chosen_spans(spans: Sequence[tuple[int, int]], rng: np.random.Generator) -> list[tuple[int, int]]:
    """Draws the fraction _PART of the spans, at least one if there are any; returns them in their order."""
    count = min(len(spans), max(1, round(_PART * len(spans))))
    return [spans[index] for index in sorted(rng.permutation(len(spans))[:count].tolist())]


def substituted(text: str, new: Sequence[tuple[int, int, str]]) -> str:
    """Returns the text with spans replaced by words.

    Args:
        text: The text.
        new: The begin, the end and the new word of each span, in rising order and without overlaps.
    """
    parts, done = [], 0
    for begin, end, word in new:
        parts += [text[done:begin], word]
        done = end
    return "".join([*parts, text[done:]])


def word_spans(text: str) -> list[tuple[int, int]]:
    """Returns the spans of the words of a text: runs of letters and digits, or single characters in Chinese text."""
    spans = []
    for run in re.finditer(r"\w+", text):
        begin, end = run.span()
        if any(map(_is_chinese, run[0])):
            spans += [(place, place + 1) for place in range(begin, end)]
        else:
            spans.append((begin, end))
    return spans


def read_synonyms(path: files.PathLike) -> dict[str, list[str]]:
    """Reads a file with a word and its synonyms on each line.

    A line with tabs is separated at tabs, so that a synonym may have several words. Otherwise, a line with commas is
    separated at commas, and any other line at spaces. Case is ignored, and empty lines are skipped.

    Raises:
        DataError: A line has no synonyms, or the file is empty.
    """
    synonyms: dict[str, list[str]] = {}
    for number, line in enumerate(files.read_lines(path), 1):
        if not line.strip():
            continue
        separator = next((mark for mark in ("\t", ",") if mark in line), None)
        word, *others = [part.strip() for part in line.split(separator) if part.strip()] or [""]
        if not word or not others:
            raise DataError(f"expected a word and its synonyms. Received {line.strip()!r}", path, number)
        known = synonyms.setdefault(word.lower(), [])
        known += [other for other in others if other not in known]
    if not synonyms:
        raise DataError("expected a word and its synonyms on each line. The file is empty", path)
    return synonyms


class Synonyms:
    """Replaces words by their synonyms (arXiv 1901.11196).

    Args:
        synonyms: The synonyms of each word, which is in lower case.
    """

    def __init__(self, synonyms: Mapping[str, Sequence[str]]) -> None:
        self.synonyms = synonyms
        self._longest = max(map(len, synonyms))

    def replace(self, texts: Sequence[str], rng: np.random.Generator) -> list[str]:
        """Returns the texts with some words replaced; a capital first letter stays capital."""
        return [self._replaced(text, rng) for text in texts]

    def _replaced(self, text: str, rng: np.random.Generator) -> str:
        new = []
        spans = [span for run in re.finditer(r"\w+", text) for span in self._known(text, *run.span())]
        for begin, end in chosen_spans(spans, rng):
            old = text[begin:end]
            choices = self.synonyms[old.lower()]
            word = choices[int(rng.integers(len(choices)))]
            new.append((begin, end, word[:1].upper() + word[1:] if old[:1].isupper() else word))
        return substituted(text, new)

    def _known(self, text: str, begin: int, end: int) -> list[tuple[int, int]]:
        """Returns the spans of the words that have synonyms in a run of letters.

        The word is the run itself; in Chinese text, the longest known words are found from left to right.
        """
        if not any(map(_is_chinese, text[begin:end])):
            return [(begin, end)] if text[begin:end].lower() in self.synonyms else []
        spans = []
        while begin < end:
            ends = range(min(end, begin + self._longest), begin, -1)
            found = next((stop for stop in ends if text[begin:stop].lower() in self.synonyms), None)
            if found is not None:
                spans.append((begin, found))
            begin = found or begin + 1
        return spans


def _is_chinese(character: str) -> bool:
    return is_cjk(ord(character))
