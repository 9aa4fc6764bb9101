"""Measures how a vocabulary fits a text: pieces per word, unknown words, entries that are never used."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from kbert.errors import DataError
from kbert.sources.source import Source
from kbert.text.tokenizer import Tokenizer
from kbert.text.vocabulary import CONTINUATION, SPECIAL_TOKENS, Vocabulary

_UNUSED = re.compile(r"\[unused\d+\]")
_NO_SCRIPTS = frozenset(
    "OTHER MODIFIER SUPERSCRIPT SUBSCRIPT FEMININE MASCULINE MICRO SCRIPT DOUBLE MATHEMATICAL PLANCK OHM".split()
)
"""The first words of Unicode names of letters that do not name a script."""
_LINES = 4096
_BATCH = 4096
"""The number of distinct split words that are collected before all but the most split are dropped."""


class VocabularyStatistics:
    """Counts of the words and pieces in a sample of text.

    Args:
        tokenizer: The tokenizer that normalizes the text and splits words.
        shown: The number of most split words to keep.
    """

    def __init__(self, tokenizer: Tokenizer, *, shown: int = 10) -> None:
        self.vocabulary = tokenizer.vocabulary
        self._words = tokenizer.normalizer.words
        self._pieces = tokenizer.wordpiece.pieces
        self._longest = tokenizer.wordpiece.max_word_length
        self._shown = shown
        self.words = 0
        self.pieces = 0
        self.whole = 0
        """The number of words that are vocabulary entries themselves."""
        self.unknown = 0
        self.too_long = 0
        """The number of words longer than the tokenizer's limit, which are unknown with any vocabulary."""
        self.scripts: Counter[str] = Counter()
        """The number of words by script."""
        self.unknown_scripts: Counter[str] = Counter()
        self.used: Counter[int] = Counter()
        self._split: dict[str, tuple[int, str]] = {}
        self._cache: dict[str, tuple[tuple[int, ...], str]] = {}

    def add(self, lines: Iterable[str]) -> None:
        """Counts the words of some lines."""
        for word, count in Counter(word for line in lines for word in self._words(line)).items():
            ids, script = self._look_up(word)
            self.words += count
            self.pieces += len(ids) * count
            self.scripts[script] += count
            for index in ids:
                self.used[index] += count
            if ids == (self.vocabulary.unk_id,):
                self.unknown += count
                self.too_long += count if len(word) > self._longest else 0
                self.unknown_scripts[script] += count
            elif len(ids) == 1:
                self.whole += count
            else:
                tokens = " ".join(self.vocabulary[index] for index in ids)
                self._split[word] = (len(ids), tokens)
                if len(self._split) > _BATCH:
                    self._split = dict(self._most_split())

    def _look_up(self, word: str) -> tuple[tuple[int, ...], str]:
        found = self._cache.get(word)
        if found is None:
            found = tuple(index for index, _ in self._pieces(word)), script_of(word)
            if len(self._cache) < 1 << 16:
                self._cache[word] = found
        return found

    def _most_split(self) -> list[tuple[str, tuple[int, str]]]:
        ranked = sorted(self._split.items(), key=lambda item: (-item[1][0], -len(item[0]), item[0]))
        return ranked[: self._shown]

    def most_split(self) -> list[tuple[str, str]]:
        """Returns the words with the most pieces, the longest first among equals, with their pieces."""
        return [(word, tokens) for word, (_, tokens) in self._most_split()]

    def never_used(self) -> list[str]:
        """Returns the entries that never occur in the sample, without special and [unused] ones, ordered by id."""
        return [
            token
            for index, token in enumerate(self.vocabulary)
            if index not in self.used and kind_of(token) not in ("special", "unused")
        ]

    def facts(self) -> dict[str, Any]:
        """Returns all counts as JSON values. Rates refer to the number of words in the sample."""
        words = max(1, self.words)
        return {
            "entries": len(self.vocabulary),
            "kinds": dict(Counter(map(kind_of, self.vocabulary)).most_common()),
            "entry_scripts": entry_scripts(self.vocabulary),
            "words": self.words,
            "pieces": self.pieces,
            "fertility": self.pieces / words,
            "whole": self.whole / words,
            "unknown": self.unknown / words,
            "too_long": self.too_long / words,
            "unknown_by_script": {
                script: self.unknown_scripts[script] / count for script, count in self.scripts.most_common()
            },
            "words_by_script": dict(self.scripts.most_common()),
            "most_split": [{"word": word, "pieces": tokens.split()} for word, tokens in self.most_split()],
            "never_used": len(self.never_used()),
        }


def add_sample(
    source: Source,
    statistics: Sequence[VocabularyStatistics],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Counts the words of a source for several vocabularies. Memory use depends only on the vocabularies.

    Args:
        source: The source of the text.
        statistics: The counts to add to, one for each vocabulary.
        progress: A function that is called with (bytes of text read, bytes of the source).

    Raises:
        DataError: The source is unreadable, or contains no words.
    """
    done = 0
    lines: list[str] = []
    for line in itertools.chain(source.lines(), [None]):
        if line is not None:
            lines.append(line)
            done += len(line.encode("utf-8")) + 1
        if len(lines) >= _LINES or line is None:
            for one in statistics:
                one.add(lines)
            lines = []
            if progress:
                progress(min(done, source.size), source.size)
    if not any(one.words for one in statistics):
        raise DataError("expected text to look at. The sample holds no words", source.parts[0][0])


def kind_of(token: str) -> str:
    """Returns the kind of an entry: "special", "unused", "piece" (##…), "character" or "word"."""
    if token in SPECIAL_TOKENS:
        return "special"
    if _UNUSED.fullmatch(token):
        return "unused"
    if token.startswith(CONTINUATION) and len(token) > len(CONTINUATION):
        return "piece"
    return "character" if len(token) == 1 else "word"


def entry_scripts(vocabulary: Vocabulary) -> dict[str, int]:
    """Returns the number of entries of each script, without special and [unused] entries."""
    tokens = (token for token in vocabulary if kind_of(token) not in ("special", "unused"))
    return dict(Counter(script_of(token.removeprefix(CONTINUATION) or token) for token in tokens).most_common())


def script_of(word: str) -> str:
    """Returns the script of the first letter of a word by its Unicode name ("Latin", "Han"), or "number" or "other"."""
    for character in word:
        if character.isalpha():
            name = unicodedata.name(character, "OTHER").removeprefix("FULLWIDTH ").removeprefix("HALFWIDTH ")
            first = name.partition(" ")[0].partition("-")[0]
            if first in _NO_SCRIPTS:
                break
            return "Han" if first == "CJK" else first.capitalize()
    return "number" if any(character.isnumeric() for character in word) else "other"
