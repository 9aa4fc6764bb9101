"""Where spaces stand between tokens: the kinds of the tokens of a vocabulary, by which ids become text again.

The tokenizer drops spaces, and splits at punctuation. So the original text is not known, and these rules restore what
is usual in English and Chinese, and in languages that use spaces like them.
"""

from __future__ import annotations

import enum
import unicodedata
from collections.abc import Sequence

import numpy as np

from kbert.text.replacement_table import is_cjk
from kbert.text.vocabulary import CONTINUATION

_CLOSING = frozenset(".,!?;:)]}%…’”»›")
_OPENING = frozenset("([{“‘«‹¿¡#$€£@")
_JOINING = frozenset("-/_‐‑")
_APOSTROPHES = frozenset("'’")
_CONTRACTIONS = frozenset(("s", "t", "d", "m", "ll", "re", "ve"))
"""The English words that an apostrophe joins to the word before it."""
_ELISIONS = frozenset(("l", "d", "j", "n", "c", "m", "qu", "o"))
"""The words that an apostrophe joins to the word behind it in French, Italian and Irish names."""


class Kind(enum.IntFlag):
    """The properties of a token that decide about the spaces around it."""

    CONTINUATION = 1
    """It continues a word ("##s")."""
    WORD = 2
    """It has letters or digits."""
    CLOSING = 4
    """No space stands before it."""
    OPENING = 8
    """No space stands behind it."""
    UNSPACED = 16
    """It is of a script without spaces, or a full-width punctuation mark."""
    JOINING = 32
    """Between two words, no spaces stand around it, as around a hyphen."""
    APOSTROPHE = 64
    CONTRACTION = 128
    """An apostrophe joins it to the word before ("don't")."""
    ELISION = 256
    """An apostrophe joins it to the word behind ("l'amour")."""
    QUOTE = 512
    """It is a straight quotation mark, which begins and ends quotations by turns."""
    NUMBER = 1024
    """It is a whole number."""
    THREE_DIGITS = 2048
    """It is a number of three digits."""
    NUMBER_MARK = 4096
    """Between two numbers, no space stands behind it ("3.5", "10:30")."""
    COMMA = 8192
    """Between a number and three digits, no space stands behind it ("10,000")."""


def token_kinds(tokens: Sequence[str]) -> np.ndarray:
    """Returns the `Kind` of each token, int32 [V]."""
    return np.array([_kind(token) for token in tokens], np.int32)


def token_text(token: str) -> str:
    """Returns the text of a token, without the mark of a continuation."""
    return token[len(CONTINUATION) :] if _continues(token) else token


def _continues(token: str) -> bool:
    return token.startswith(CONTINUATION) and len(token) > len(CONTINUATION)


def _kind(token: str) -> Kind:
    text = token_text(token)
    kind = Kind.CONTINUATION if _continues(token) else Kind(0)
    for wanted, marks in (
        (Kind.CLOSING, _CLOSING),
        (Kind.OPENING, _OPENING),
        (Kind.JOINING, _JOINING),
        (Kind.APOSTROPHE, _APOSTROPHES),
        (Kind.CONTRACTION, _CONTRACTIONS),
        (Kind.ELISION, _ELISIONS),
        (Kind.QUOTE, ('"',)),
        (Kind.NUMBER_MARK, (".", ":")),
        (Kind.COMMA, (",",)),
    ):
        if text.lower() in marks:
            kind |= wanted
    if any(character.isalnum() for character in text):
        kind |= Kind.WORD
    if text.isdecimal():
        kind |= Kind.NUMBER | (Kind.THREE_DIGITS if len(text) == 3 else Kind(0))
    if text and all(map(_is_unspaced, text)):
        kind |= Kind.UNSPACED
    return kind


def _is_unspaced(character: str) -> bool:
    """Returns whether a character is an ideograph, kana, or a punctuation mark of the width of an ideograph."""
    code = ord(character)
    if is_cjk(code) or 0x3000 <= code <= 0x30FF:
        return True
    return 0xFF00 <= code <= 0xFFEF and unicodedata.category(character)[0] in "PS"
