"""Finds tokens in text as a whole: special and added tokens, and words that are never split.

The first character of each match is replaced by a placeholder, a private character that is not in the vocabulary, and
the rest by characters that normalization drops, so that the length of the text does not change. Normalization makes
the placeholder a word of its own, and WordPiece gets its pieces from a table. Tokens that are not `normalized` are
searched for in the original text; the others in normalized text, after they are normalized themselves, including the
spaces around punctuation. Of overlapping matches, the leftmost is used, and of those the longest (as in Hugging Face's
tokenizers).
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
"""Replaces the characters of a token after its placeholder; normalization drops this character."""

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
    """The characters that are allowed before and after a token."""

    ANY = "any"
    NO_WORD = "no letter, digit, mark or underscore"
    SPACE = "white space or the edge of the text"


@dataclasses.dataclass(frozen=True)
class TextToken:
    """A token to search for in text.

    Args:
        content: The text to search for, normalized if the token is.
        pieces: The (id, start in the content) of each piece. Only words that are never split can have several.
        boundary: The characters that are allowed before and after the token.
        lstrip: Whether white space before the token belongs to it.
        rstrip: Whether white space after the token belongs to it.
        found: Whether the token is replaced. A special token that is split like other text matches, so that no shorter
            token matches within it, but is not replaced.
        space_before: Whether the token is normalized and begins with white space. Spaces that normalization inserts
            around punctuation do not match this white space.
        space_after: Whether the token is normalized and ends with white space, with the same rule.
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
    """The text that a placeholder replaces: a token at [start, end), or with its white space [first, limit)."""

    first: int
    start: int
    end: int
    limit: int


class TextTokens:
    """All tokens that are found in text as a whole.

    Args:
        raw: The tokens to search for in the original text, with distinct contents.
        normalized: The tokens to search for in normalized text, with distinct contents.
        vocabulary: The vocabulary. Placeholders are private characters that it does not contain.
        chinese_characters: Whether CJK ideographs count as separated by white space.

    Raises:
        VocabularyError: The vocabulary contains so many private characters that too few are left for placeholders.
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
        """Returns the tokens that the settings define, or None if no token is to be found in text.

        Args:
            vocabulary: The vocabulary, including added tokens.
            settings: The settings of the tokenizer.
            table: Normalizes the tokens that are searched for in normalized text.
            wordpiece: Splits the words that are never split by normalization into pieces.
        """
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
        """Returns whether a text may contain one of the tokens or a placeholder character."""
        raw, normalized = self._forms[False][0], self._forms[True][0]
        return bool(
            (raw is not None and raw.search(text))
            or self._taken.search(text)
            or (normalized is not None and normalized.search(text.translate(table)))
        )

    def hide(self, text: str) -> tuple[str, dict[int, Hidden]]:
        """Replaces tokens in a text by placeholders, without a change of its length.

        Returns:
            The text with placeholders, and what each of them replaces, by the index of the placeholder in the text.
        """
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
        """Replaces tokens in a normalized text by placeholders between spaces."""
        parts = []
        done = 0
        for start, end, placeholder, _ in self.normalized_matches(text):
            parts += [text[done:start], f" {placeholder} "]
            done = end
        return "".join([*parts, text[done:]]) if parts else text

    def normalized_matches(self, text: str) -> Iterator[tuple[int, int, str, TextToken]]:
        """Yields (start, end, placeholder, token) of the tokens in a normalized text, from left to right."""
        for start, end, place in self._matches(text, normalized=True):
            yield start, end, chr(self.base + len(self.raw) + place), self.normalized[place]

    @staticmethod
    def with_white_space(token: TextToken, text: str, start: int, end: int, least: int) -> tuple[int, int]:
        """Returns the range of a token with the white space that belongs to it.

        Args:
            token: The token.
            text: The text.
            start: The index of the first character of the token in the text.
            end: The index after the last character of the token.
            least: The smallest possible start, which is the end of the previous token.
        """
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
        """Returns whether normalization inserts spaces around a character."""
        return bool(character) and (is_punctuation(character) or character in self.placeholders)

    def _is_bounded(self, boundary: Boundary, text: str, start: int, end: int, normalized: bool) -> bool:
        if boundary is Boundary.ANY:
            return True
        before, after = text[:start][-2:], text[end : end + 2]
        if boundary is Boundary.SPACE:
            return all(not c or is_whitespace(c) or self._is_ideograph(c) for c in (before[-1:], after[:1]))
        if normalized:  # normalization inserts the space next to a punctuation mark, so look at the mark itself
            before = before[:1] if before[1:] == SPACE and is_connector(before[:1]) else before
            after = after[1:] if after[:1] == SPACE and is_connector(after[1:]) else after
        return not is_word(before[-1:]) and not is_word(after[:1])

    def _is_ideograph(self, character: str) -> bool:
        return self.chinese_characters and is_cjk(ord(character))


def _begins_with_space(content: str, table: ReplacementTable) -> bool:
    """Returns whether the first character that normalization keeps is white space."""
    first = next((character for character in content if table[ord(character)]), "")
    return bool(first) and is_whitespace(first)


def is_word(character: str) -> bool:
    r"""Returns whether a character belongs to words: \w in the Rust regular expressions of Hugging Face's tokenizers.

    This is Alphabetic (L, Nl, and letters in circles and squares), M, Nd, Pc and Join_Control.
    """
    if not character:
        return False
    category = unicodedata.category(character)
    return category[0] in "LM" or category in ("Nd", "Nl", "Pc") or character in _OTHER_WORD_CHARACTERS


def is_connector(character: str) -> bool:
    """Returns whether a character is a punctuation mark that counts as part of a word, such as the underscore."""
    return bool(character) and unicodedata.category(character) == "Pc"


def is_white_space(character: str) -> bool:
    """Returns whether a character has Unicode's property White_Space, which `lstrip` and `rstrip` use."""
    return character in _WHITE_SPACE


def unspellable_character(vocabulary: Vocabulary) -> str:
    """Returns a character that no piece contains, so that a word with it is [UNK].

    It is one of Unicode's noncharacters (U+FFFE and U+FFFF of each plane), which do not occur in text.
    """
    held = {c for token in vocabulary for c in token if c > "\uffff"}
    return next(
        chr(code_point) for code_point in range(0x1FFFF, sys.maxunicode + 1, 0x10000) if chr(code_point) not in held
    )


def _free_private_characters(vocabulary: Vocabulary, count: int) -> int:
    """Returns the first of `count` consecutive private code points that no token contains."""
    held = sorted({ord(c) for token in vocabulary for c in token if ord(c) >= _FIRST_PRIVATE})
    first = _FIRST_PRIVATE
    for code_point in [*held, _LAST_PRIVATE + 1]:
        if code_point - first >= count:
            return first
        first = code_point + 1
    raise VocabularyError(
        f"{count} tokens to be found in text need as many characters from U+100000 on that are not in the vocabulary. "
        f"It contains {len(held)} of the {_LAST_PRIVATE + 1 - _FIRST_PRIVATE}; add fewer tokens"
    )


def _pattern(contents: Iterable[str]) -> re.Pattern[str] | None:
    """Returns an expression that finds the leftmost, longest content. Alternatives are tried in order."""
    alternatives = sorted(contents, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, alternatives))) if alternatives else None
