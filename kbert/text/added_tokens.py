"""Tokens that are found in text as a whole: special and added tokens, and words that are never split.

Each is replaced in the text by a placeholder, a private character that the vocabulary lacks, and the rest of it by
dropped characters, so that lengths stay. Normalization makes the placeholder a word of its own, and WordPiece is
told its pieces. Tokens that are not `normalized` are looked for in the text as it stands; the others in normalized
text, where punctuation has spaces around it already, and so has it in what is looked for. Of tokens that
overlap the leftmost is taken, of those the longest (as in Hugging Face's tokenizers).
"""

from __future__ import annotations

import dataclasses
import enum
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from kbert.errors import VocabularyError
from kbert.text.replacement_table import SPACE, ReplacementTable, is_cjk, is_punctuation, is_whitespace
from kbert.text.settings import AddedToken, TokenizerSettings
from kbert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from kbert.text.wordpiece import WordPiece

FILL = "\0"
"""Stands for the rest of a token behind its placeholder: a character that normalization drops."""

_FIRST_PRIVATE, _LAST_PRIVATE = 0x100000, 0x10FFFD
_WHITE_SPACE = frozenset(
    "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
)
_OTHER_WORD_CHARACTERS = frozenset("\u200c\u200d").union(
    chr(code_point)
    for first, last in ((0x24B6, 0x24E9), (0x1F130, 0x1F149), (0x1F150, 0x1F169), (0x1F170, 0x1F189))
    for code_point in range(first, last + 1)
)


class Boundary(enum.Enum):
    """What may stand beside a token."""

    ANY = "any"
    NO_WORD = "no letter, digit, mark or underscore"
    SPACE = "white space or the edge of the text"


@dataclasses.dataclass(frozen=True)
class TextToken:
    """A token as it is looked for.

    Args:
        content: What is looked for, normalized if the token is.
        pieces: (id, start in the content) of each of its pieces; one but for words that are never split.
        boundary: What may stand beside it.
        lstrip: White space before it belongs to it.
        rstrip: White space after it belongs to it.
        found: False for a special token that is split like any text: it is met, and left as it is.
        space_before: Whether the token is normalized and begins with white space. Spaces that normalization puts beside
            punctuation do not match it.
        space_after: Whether the token is normalized and ends with white space, likewise.
    """

    content: str
    pieces: tuple[tuple[int, int], ...]
    boundary: Boundary
    lstrip: bool = False
    rstrip: bool = False
    found: bool = True
    space_before: bool = False
    space_after: bool = False


class Hidden(NamedTuple):
    """What a placeholder hides: a token at [start, end), which with its white space is [first, limit)."""

    first: int
    start: int
    end: int
    limit: int


class TextTokens:
    """All tokens that are found in text.

    Args:
        raw: Those looked for in the text as it stands, of distinct contents.
        normalized: Those looked for in normalized text, of distinct contents.
        vocabulary: Tells which characters are free to be placeholders.
        chinese_characters: CJK ideographs count as bounded by white space.

    Raises:
        VocabularyError: The vocabulary leaves too few private characters.
    """

    def __init__(
        self, raw: list[TextToken], normalized: list[TextToken], vocabulary: Vocabulary, chinese_characters: bool
    ) -> None:
        self.raw = raw
        self.normalized = normalized
        self.chinese_characters = chinese_characters
        self.base = _free_private_characters(vocabulary, len(raw) + len(normalized))
        self.unspellable = unspellable_character(vocabulary)
        placeholders = [chr(self.base + index) for index in range(len(raw) + len(normalized))]
        self.placeholders = "".join(placeholders)
        self.pieces = {p: token.pieces for p, token in zip(placeholders, raw + normalized, strict=True)}
        self._forms = {
            key: (_pattern(token.content for token in tokens), {t.content: i for i, t in enumerate(tokens)}, tokens)
            for key, tokens in ((False, raw), (True, normalized))
        }
        self._taken = re.compile(f"[{placeholders[0]}-{placeholders[-1]}]")

    @classmethod
    def of(
        cls, vocabulary: Vocabulary, settings: TokenizerSettings, table: ReplacementTable, wordpiece: WordPiece
    ) -> TextTokens | None:
        """The tokens that settings ask for; None where there are none, and text is just text."""
        added = {token.content: token for token in settings.added_tokens}
        specials = [AddedToken(content, special=True) for content in SPECIAL_TOKENS if content not in added]
        every = [*specials, *settings.added_tokens]
        if not settings.never_split and not any(settings.special_tokens_in_text or not t.special for t in every):
            return None
        raw: dict[str, TextToken] = {}
        normalized: dict[str, TextToken] = {}
        for token in every:
            content = token.content.translate(table) if token.normalized else token.content
            found = TextToken(
                content,
                ((vocabulary.ids[token.content], 0),),
                Boundary.NO_WORD if token.single_word else Boundary.ANY,
                token.lstrip,
                token.rstrip,
                settings.special_tokens_in_text or not token.special,
                token.normalized and _begins_with_space(token.content, table),
                token.normalized and _begins_with_space(token.content[::-1], table),
            )
            if content:
                (normalized if token.normalized else raw).setdefault(content, found)
        for word in settings.never_split:
            if word not in raw or not raw[word].found:
                raw[word] = TextToken(word, wordpiece.pieces(word), Boundary.SPACE)
        return cls(list(raw.values()), list(normalized.values()), vocabulary, settings.chinese_characters)

    def may_stand_in(self, text: str, table: ReplacementTable) -> bool:
        """Whether a text may hold one of the tokens, or a placeholder: if not, it is a text like any other."""
        raw, normalized = self._forms[False][0], self._forms[True][0]
        return bool(
            (raw is not None and raw.search(text))
            or self._taken.search(text)
            or (normalized is not None and normalized.search(text.translate(table)))
        )

    def hide(self, text: str) -> tuple[str, dict[int, Hidden]]:
        """Puts placeholders into a text, its length kept; gives what each hides, by the placeholder's index."""
        text = self._taken.sub(self.unspellable, text)
        parts = []
        hidden: dict[int, Hidden] = {}
        done = 0
        for start, end, place in self._matches(text, normalized=False):
            first, limit = self.with_white_space(self.raw[place], text, start, end, done)
            parts += [text[done:first], FILL * (start - first), chr(self.base + place), FILL * (limit - start - 1)]
            hidden[start] = Hidden(first, start, end, limit)
            done = limit
        return "".join([*parts, text[done:]]) if parts else text, hidden

    def hide_normalized(self, text: str) -> str:
        """Puts placeholders, between spaces, into normalized text."""
        parts = []
        done = 0
        for start, end, placeholder, _ in self.normalized_matches(text):
            parts += [text[done:start], f" {placeholder} "]
            done = end
        return "".join([*parts, text[done:]]) if parts else text

    def normalized_matches(self, text: str) -> Iterator[tuple[int, int, str, TextToken]]:
        """(start, end, placeholder, token) of the tokens in a normalized text, from left to right."""
        for start, end, place in self._matches(text, normalized=True):
            yield start, end, chr(self.base + len(self.raw) + place), self.normalized[place]

    @staticmethod
    def with_white_space(token: TextToken, text: str, start: int, end: int, least: int) -> tuple[int, int]:
        """A token that stands at [start, end), with the white space that belongs to it, from `least` on."""
        if token.rstrip:
            while end < len(text) and is_white_space(text[end]):
                end += 1
        if token.lstrip:
            while start > least and is_white_space(text[start - 1]):
                start -= 1
        return start, end

    def _matches(self, text: str, *, normalized: bool) -> Iterator[tuple[int, int, int]]:
        pattern, places, tokens = self._forms[normalized]
        if pattern is None:
            return
        for match in pattern.finditer(text):
            place = places[match.group()]
            token = tokens[place]
            if (
                token.found
                and self._is_bounded(token.boundary, text, *match.span(), normalized)
                and not (token.space_before and self._is_padded(text[: match.start()][-1:]))
                and not (token.space_after and self._is_padded(text[match.end() : match.end() + 1]))
            ):
                yield *match.span(), place

    def _is_padded(self, character: str) -> bool:
        """Whether normalization puts spaces around a character that the text does not have."""
        return bool(character) and (is_punctuation(character) or character in self.placeholders)

    def _is_bounded(self, boundary: Boundary, text: str, start: int, end: int, normalized: bool) -> bool:
        if boundary is Boundary.ANY:
            return True
        before, after = text[:start][-2:], text[end : end + 2]
        if boundary is Boundary.SPACE:
            return all(not c or is_whitespace(c) or self._is_ideograph(c) for c in (before[-1:], after[:1]))
        if normalized:  # the space beside a punctuation mark is not of the text
            before = before[:1] if before[1:] == SPACE and is_connector(before[:1]) else before
            after = after[1:] if after[:1] == SPACE and is_connector(after[1:]) else after
        return not is_word(before[-1:]) and not is_word(after[:1])

    def _is_ideograph(self, character: str) -> bool:
        return self.chinese_characters and is_cjk(ord(character))


def _begins_with_space(content: str, table: ReplacementTable) -> bool:
    """Whether the first character that normalization keeps is white space."""
    first = next((character for character in content if table[ord(character)]), "")
    return bool(first) and is_whitespace(first)


def is_word(character: str) -> bool:
    r"""Whether a character is one of words: \w of the Rust regular expressions that Hugging Face's tokenizers use.

    That is Alphabetic, M, Nd, Pc and Join_Control; Alphabetic are L, Nl, and letters in circles and squares.
    """
    if not character:
        return False
    category = unicodedata.category(character)
    return category[0] in "LM" or category in ("Nd", "Nl", "Pc") or character in _OTHER_WORD_CHARACTERS


def is_connector(character: str) -> bool:
    """Whether a character is a punctuation mark that counts as part of a word, such as the underscore."""
    return bool(character) and unicodedata.category(character) == "Pc"


def is_white_space(character: str) -> bool:
    """Unicode's White_Space, which `lstrip` and `rstrip` go by."""
    return character in _WHITE_SPACE


def unspellable_character(vocabulary: Vocabulary) -> str:
    """A character that no piece holds, so that a word with it is [UNK].

    Noncharacters are never in text (U+FFFE and U+FFFF end each plane).
    """
    held = {c for token in vocabulary for c in token if c > "\uffff"}
    return next(
        chr(code_point) for code_point in range(0x1FFFF, sys.maxunicode + 1, 0x10000) if chr(code_point) not in held
    )


def _free_private_characters(vocabulary: Vocabulary, count: int) -> int:
    """The first of `count` private code points in a row that no token holds."""
    held = sorted({ord(c) for token in vocabulary for c in token if ord(c) >= _FIRST_PRIVATE})
    first = _FIRST_PRIVATE
    for code_point in [*held, _LAST_PRIVATE + 1]:
        if code_point - first >= count:
            return first
        first = code_point + 1
    raise VocabularyError(
        f"{count} tokens to be found in text need as many characters from U+100000 on that the vocabulary lacks. "
        f"It holds {len(held)} of the {_LAST_PRIVATE + 1 - _FIRST_PRIVATE}; add fewer tokens"
    )


def _pattern(contents: Iterable[str]) -> re.Pattern[str] | None:
    """Finds the leftmost, and of those the longest: alternatives are tried in order."""
    alternatives = sorted(contents, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, alternatives))) if alternatives else None
