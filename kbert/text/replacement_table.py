"""A table of BERT's normalization before WordPiece: code point → replacement string.

The original release (google-research/bert, tokenization.py) cleans text (drops NUL, U+FFFD and control characters, and
turns white space into spaces), puts spaces around CJK ideographs, splits on white space, lower-cases, decomposes (NFD)
and drops accents (Mn), and splits on punctuation. All these steps act on single characters, with one exception:
`lower()` turns a Greek capital sigma at the end of a word into its final form. So a table for `str.translate` does the
same in one pass, and the same table can be used in a TensorFlow graph.
"""

from __future__ import annotations

import unicodedata

SPACE = " "
SIGMA = "Σ"

CJK_RANGES = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)
"""The first and last code points of the blocks of CJK ideographs."""


def is_whitespace(character: str) -> bool:
    """Returns whether a character separates words: space, TAB, LF, CR, or of the categories Zs, Zl and Zp.

    The cleaning of the original release handles only Zs, but its `str.split()` splits at the other two as well.
    """
    return character in " \t\n\r" or unicodedata.category(character) in ("Zs", "Zl", "Zp")


def is_dropped(character: str) -> bool:
    """Returns whether cleaning removes a character: NUL, U+FFFD, Cc and Cf, but not TAB, LF and CR."""
    if character in "\t\n\r":
        return False
    return character in "\0\ufffd" or unicodedata.category(character) in ("Cc", "Cf")


def is_cjk(code_point: int) -> bool:
    """Returns whether a character is a CJK ideograph. Hangul, Hiragana and Katakana are not; they form words."""
    return code_point >= 0x3400 and any(first <= code_point <= last for first, last in CJK_RANGES)


def is_punctuation(character: str) -> bool:
    """Returns whether a character is punctuation.

    Punctuation is all of ASCII from "!" on except letters and digits, and Unicode's categories P*.
    """
    code_point = ord(character)
    if code_point < 128:
        return 33 <= code_point <= 47 or 58 <= code_point <= 64 or 91 <= code_point <= 96 or code_point >= 123
    return unicodedata.category(character).startswith("P")


class ReplacementTable(dict[int, str]):
    """Maps a code point to its normalized text, for `str.translate`. Entries are computed on first use.

    A space in a replacement separates words. The table has at most 1,114,112 entries, the number of code points.

    Args:
        lowercase: Whether to lower-case text, as the uncased models do.
        strip_accents: Whether to strip accents. None strips them if `lowercase` is true.
        chinese_characters: Whether to make each CJK ideograph a word.
    """

    def __init__(self, lowercase: bool, *, strip_accents: bool | None = None, chinese_characters: bool = True) -> None:
        super().__init__()
        self.lowercase = lowercase
        self.final_sigmas = lowercase
        """Whether a capital sigma at the end of a word becomes ς, which a table cannot say."""
        self.ends_at_nul = False
        """Whether a text ends before its first NUL, which a table cannot say."""
        self.keeps_other_spaces = False
        """Whether normalized text may contain white space other than U+0020, as characters of words."""
        self.newer_punctuation: frozenset[int] = frozenset()
        """Punctuation of a Unicode version that may be newer than Python's, which may count it as unassigned."""
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
    """Returns whether `word.lower()` writes the capital sigma at `position` as ς (Unicode's Final_Sigma)."""
    before = next((c for c in reversed(word[:position]) if not is_case_ignorable(c)), None)
    after = next((c for c in word[position + 1 :] if not is_case_ignorable(c)), None)
    return before is not None and is_cased(before) and not (after is not None and is_cased(after))


def is_case_ignorable(character: str) -> bool:
    """Returns whether a character is Case_Ignorable, derived from `lower()`, since Python has no table of it."""
    return ("A" + character + SIGMA).lower()[-1] == "ς" and not is_cased(character)


def is_cased(character: str) -> bool:
    """Returns whether a character is Cased and not Case_Ignorable, derived from `lower()`."""
    return (character + SIGMA).lower()[-1] == "ς"
