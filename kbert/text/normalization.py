"""Normalizes text to the words that WordPiece splits: replaces characters, and finds tokens in text as a whole."""

from __future__ import annotations

import re
from typing import NamedTuple

from kbert.text.added_tokens import Hidden, TextTokens
from kbert.text.mediapipe_table import MediaPipeTable
from kbert.text.replacement_table import (
    SIGMA,
    SPACE,
    ReplacementTable,
    is_cjk,
    is_dropped,
    is_final_sigma,
    is_whitespace,
)
from kbert.text.settings import MEDIAPIPE, TokenizerSettings

_WORD = re.compile("[^ ]+")


class Word(NamedTuple):
    """A normalized word.

    Character i of the word comes from `text[starts[i]:ends[i]]`. For a placeholder (see `TextTokens`), the lists have
    an entry for each character of the token that it replaces.
    """

    text: str
    starts: list[int]
    ends: list[int]


def table_of(settings: TokenizerSettings) -> ReplacementTable:
    """Returns the table of the normalization that settings describe."""
    if settings.normalization == MEDIAPIPE:
        return MediaPipeTable()
    return ReplacementTable(
        settings.lowercase, strip_accents=settings.strip_accents, chinese_characters=settings.chinese_characters
    )


class Normalizer:
    """Splits text into normalized words.

    Args:
        lowercase: Whether to lower-case text, as the uncased models do.
        table: The replacement of each character. The default is `ReplacementTable(lowercase)`.
        text_tokens: The tokens that are found in text as a whole.
    """

    def __init__(
        self, lowercase: bool, *, table: ReplacementTable | None = None, text_tokens: TextTokens | None = None
    ) -> None:
        self.lowercase = lowercase
        self.table = ReplacementTable(lowercase) if table is None else table
        self.text_tokens = text_tokens
        if text_tokens:
            self.table.update({ord(placeholder): f" {placeholder} " for placeholder in text_tokens.placeholders})

    def words(self, text: str) -> list[str]:
        """Returns the normalized words of `text`. Punctuation marks and CJK ideographs are words of their own."""
        if self.table.ends_at_nul:
            text = until_nul(text)
        if self.text_tokens:
            return self._words_with_tokens(text, self.text_tokens)
        if self.table.final_sigmas and SIGMA in text:
            text = self.with_final_sigmas(text)
        return self._split(text.translate(self.table))

    def _words_with_tokens(self, text: str, text_tokens: TextTokens) -> list[str]:
        text, _ = text_tokens.hide(text)
        if self.table.final_sigmas and SIGMA in text:
            text = self.with_final_sigmas(text)
        return self._split(text_tokens.hide_normalized(text.translate(self.table)))

    def _split(self, normalized: str) -> list[str]:
        if self.table.keeps_other_spaces:
            return _WORD.findall(normalized)
        return normalized.split()  # faster

    def words_with_sources(self, text: str) -> list[Word]:
        """Returns the words of `words`, with the part of `text` that each of their characters comes from."""
        hidden: dict[int, Hidden] = {}
        if self.table.ends_at_nul:
            text = until_nul(text)
        if self.text_tokens:
            text, hidden = self.text_tokens.hide(text)
        source = self.with_final_sigmas(text) if self.table.final_sigmas and SIGMA in text else text
        characters: list[str] = []
        starts: list[int] = []
        ends: list[int] = []
        for index, character in enumerate(source):
            for replacement in self.table[ord(character)]:
                characters.append(replacement)
                starts.append(index)
                ends.append(index + 1)
        normalized = "".join(characters)
        if self.text_tokens and self.text_tokens.normalized:
            normalized, starts, ends = self._hide_normalized(text, normalized, starts, ends)
        words = [
            Word(match.group(), starts[match.start() : match.end()], ends[match.start() : match.end()])
            for match in _WORD.finditer(normalized)
        ]
        return [_as_hidden(word, hidden) for word in words] if hidden else words

    def _hide_normalized(
        self, text: str, normalized: str, starts: list[int], ends: list[int]
    ) -> tuple[str, list[int], list[int]]:
        """Replaces tokens in normalized text by placeholders between spaces; returns text, starts and ends."""
        assert self.text_tokens is not None
        parts = []
        new_starts: list[int] = []
        new_ends: list[int] = []
        done = least = 0
        for start, end, placeholder, token in self.text_tokens.normalized_matches(normalized):
            first, limit = self.text_tokens.with_white_space(token, text, starts[start], ends[end - 1], least)
            parts += [normalized[done:start], f" {placeholder} "]
            new_starts += [*starts[done:start], first, first, first]
            new_ends += [*ends[done:start], limit, limit, limit]
            done, least = end, limit
        return "".join([*parts, normalized[done:]]), new_starts + starts[done:], new_ends + ends[done:]

    def with_final_sigmas(self, text: str) -> str:
        """Returns the text with ς for each Σ that `lower()` makes final. The length does not change.

        The rule applies to white-space-separated words of the cleaned text, without dropped characters.
        """
        kept = [i for i, c in enumerate(text) if not is_dropped(c)]
        cleaned = "".join(SPACE if is_whitespace(text[i]) or is_cjk(ord(text[i])) else text[i] for i in kept)
        result = list(text)
        start = 0
        for word in cleaned.split(SPACE):
            if SIGMA in word:
                # lower() can change the length of a word (İ), so only the sigmas are checked.
                for position, character in enumerate(word):
                    if character == SIGMA and is_final_sigma(word, position):
                        result[kept[start + position]] = "ς"
            start += len(word) + 1
        return "".join(result)


def until_nul(text: str) -> str:
    """Returns the text before its first NUL."""
    return text.partition("\0")[0]


def _as_hidden(word: Word, hidden: dict[int, Hidden]) -> Word:
    """Returns a placeholder with the sources of all characters that it replaces; returns other words unchanged.

    A token found in normalized text never has the same place as one found before normalization.
    """
    what = hidden.get(word.starts[0])
    if what is None:
        return word
    inside = range(what.start + 1, what.end)
    return Word(word.text, [what.first, *inside], [*inside, what.limit])
