"""What BERT does to single characters before WordPiece, as one table: code point → replacement string.

The original's order is: clean (drop NUL, U+FFFD and control characters; white space becomes a space), spaces
around CJK ideographs, split on white space, lower case, decompose (NFD) and drop the accents (Mn), split on
punctuation (google-research/bert, tokenization.py). All of it acts on single characters, with one exception:
`lower()` turns a Greek capital sigma into the final form at the end of a word. So a table, applied
by `str.translate`, does the same in one pass, and the same table can be laid into a TF graph.
"""

from __future__ import annotations

import unicodedata

SPACE = " "
SIGMA = "Σ"

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
