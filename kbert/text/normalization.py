"""What BERT does to text before WordPiece, as one table: code point → replacement string.

The original's order is: clean (drop NUL, U+FFFD and control characters; white space becomes a space), spaces
around CJK ideographs, split on white space, lower case, decompose (NFD) and drop the accents (Mn), split on
punctuation (google-research/bert, tokenization.py). All of it acts on single characters, with one exception:
`lower()` turns a Greek capital sigma into the final form at the end of a word. So a table, applied
by `str.translate`, does the same in one pass, and the same table can be laid into a TF graph.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from kbert.text.added_tokens import Hidden, TextTokens

SPACE = " "
SIGMA = "Σ"
_WORD = re.compile("[^ ]+")

_CJK_RANGES = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


def is_whitespace(character: str) -> bool:
    """What separates words: space, TAB, LF, CR and the separators Zs, Zl and Zp.

    The original's cleaning names Zs alone, but its splitting is `str.split()`, which knows the other two.
    """
    return character in " \t\n\r" or unicodedata.category(character) in ("Zs", "Zl", "Zp")


def is_dropped(character: str) -> bool:
    """Characters that cleaning removes: NUL, U+FFFD, Cc and Cf, but not TAB, LF and CR."""
    if character in "\t\n\r":
        return False
    return character in "\0\ufffd" or unicodedata.category(character) in ("Cc", "Cf")


def is_cjk(code_point: int) -> bool:
    """CJK ideographs; Hangul, Hiragana and Katakana are written with the rest, as words."""
    return any(first <= code_point <= last for first, last in _CJK_RANGES)


def is_punctuation(character: str) -> bool:
    """All ASCII that is not a letter, digit or white space, and Unicode's P* categories."""
    code_point = ord(character)
    if code_point < 128:
        return 33 <= code_point <= 47 or 58 <= code_point <= 64 or 91 <= code_point <= 96 or code_point >= 123
    return unicodedata.category(character).startswith("P")


class ReplacementTable(dict[int, str]):
    """Maps a code point to its normalized text, for `str.translate`; filled as characters are met.

    A space in a replacement separates words. It never holds more than Unicode's 1,114,112 entries.

    Args:
        lowercase: Lower-case, as the uncased models do.
        strip_accents: Strip accents; None does as `lowercase` says.
        chinese_characters: Make each CJK ideograph a word.
    """

    def __init__(self, lowercase: bool, *, strip_accents: bool | None = None, chinese_characters: bool = True) -> None:
        super().__init__()
        self.lowercase = lowercase
        self.strip_accents = lowercase if strip_accents is None else strip_accents
        self.chinese_characters = chinese_characters

    def __missing__(self, code_point: int) -> str:
        replacement = self._replacement(chr(code_point))
        self[code_point] = replacement
        return replacement

    def _replacement(self, character: str) -> str:
        if is_dropped(character):
            return ""
        if is_whitespace(character):
            return SPACE
        cjk = self.chinese_characters and is_cjk(ord(character))
        if self.lowercase:
            character = character.lower()
        if self.strip_accents:
            decomposed = unicodedata.normalize("NFD", character)
            character = "".join(c for c in decomposed if unicodedata.category(c) != "Mn")
        spaced = "".join(f" {c} " if is_punctuation(c) else c for c in character)
        return f" {spaced} " if cjk else spaced


class Word(NamedTuple):
    """A normalized word.

    Character i of it came from `text[starts[i]:ends[i]]`. That of a placeholder (`TextTokens`) tells of the characters
    that it hides.
    """

    text: str
    starts: list[int]
    ends: list[int]


class Normalizer:
    """Splits text into the words that WordPiece takes apart.

    Args:
        lowercase: Lower-case, as the uncased models do.
        table: What becomes of each character; by default `ReplacementTable(lowercase)`.
        text_tokens: Tokens that are found in text as a whole.
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
        """The normalized words of `text`, punctuation marks and CJK ideographs as words of their own."""
        if self.text_tokens:
            return self._words_with_tokens(text, self.text_tokens)
        if self.lowercase and SIGMA in text:
            text = self.with_final_sigmas(text)
        return text.translate(self.table).split()

    def _words_with_tokens(self, text: str, text_tokens: TextTokens) -> list[str]:
        text, _ = text_tokens.hide(text)
        if self.lowercase and SIGMA in text:
            text = self.with_final_sigmas(text)
        return text_tokens.hide_normalized(text.translate(self.table)).split()

    def words_with_sources(self, text: str) -> list[Word]:
        """The same words, each with the part of `text` that each of its characters came from."""
        hidden: dict[int, Hidden] = {}
        if self.text_tokens:
            text, hidden = self.text_tokens.hide(text)
        source = self.with_final_sigmas(text) if self.lowercase and SIGMA in text else text
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
        """The same with placeholders, between spaces, for tokens that are found in normalized text."""
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
        """Writes ς for each Σ that `lower()` would make final; same length.

        The rule looks at a white-space-separated word of cleaned text, dropped characters left out.
        """
        kept = [i for i, c in enumerate(text) if not is_dropped(c)]
        cleaned = "".join(SPACE if is_whitespace(text[i]) or is_cjk(ord(text[i])) else text[i] for i in kept)
        result = list(text)
        start = 0
        for word in cleaned.split(SPACE):
            if SIGMA in word:
                # lower() may lengthen a word (İ), so ask only about the sigmas.
                for position, character in enumerate(word):
                    if character == SIGMA and is_final_sigma(word, position):
                        result[kept[start + position]] = "ς"
            start += len(word) + 1
        return "".join(result)


def _as_hidden(word: Word, hidden: dict[int, Hidden]) -> Word:
    """A placeholder with the sources of all that it hides; other words as they are.

    A token found in normalized text is never at the same place as one found before normalization.
    """
    what = hidden.get(word.starts[0])
    if what is None:
        return word
    inside = range(what.start + 1, what.end)
    return Word(word.text, [what.first, *inside], [*inside, what.limit])


def is_final_sigma(word: str, position: int) -> bool:
    """Whether `word.lower()` writes the capital sigma at `position` as ς (Unicode's Final_Sigma)."""
    before = next((c for c in reversed(word[:position]) if not is_case_ignorable(c)), None)
    after = next((c for c in word[position + 1 :] if not is_case_ignorable(c)), None)
    return before is not None and is_cased(before) and not (after is not None and is_cased(after))


def is_case_ignorable(character: str) -> bool:
    """Unicode's Case_Ignorable, read off what `lower()` does: no table of it is public in Python."""
    return ("A" + character + SIGMA).lower()[-1] == "ς" and not is_cased(character)


def is_cased(character: str) -> bool:
    """Unicode's Cased without Case_Ignorable, read off what `lower()` does."""
    return (character + SIGMA).lower()[-1] == "ς"
