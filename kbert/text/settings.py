"""The settings of a tokenizer, which vocabularies, corpora, model folders and served graphs share."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from kbert.errors import UsageError

MAX_WORD_LENGTH = 200
"""The default for the longest word in characters that is not [UNK], as in the original release."""

BERT, MEDIAPIPE = "bert", "mediapipe"
NORMALIZATIONS = (BERT, MEDIAPIPE)
"""The normalization of the original release, and that of MediaPipe, which phones use (see `MediaPipeTable`)."""

MEDIAPIPE_WORD_BYTES = 100
"""The length in bytes of UTF-8 above which a word becomes [UNK] in MediaPipe."""

_NORMALIZING = ("normalization", "lowercase", "strip_accents", "chinese_characters", "never_split")
"""The settings that determine how ordinary text is split into words."""


@dataclasses.dataclass(frozen=True)
class AddedToken:
    """A token that is found in text as a whole, before text is split into words.

    The fields are those of Hugging Face's tokenizers.

    Args:
        content: The text of the token. White space in it must match exactly; if the token is `normalized`, any white
            space matches any other.
        special: Whether the token belongs to the model, such as [MASK]. Special tokens are found in text only with
            `special_tokens_in_text`, and `decode` leaves them out.
        normalized: Whether to search for the token in normalized text, so that "Covid" also matches "COVID" in an
            uncased model.
        single_word: Whether the token matches only outside of words: not next to a letter, digit, mark or underscore.
        lstrip: Whether white space before the token belongs to it; this affects offsets.
        rstrip: Whether white space after the token belongs to it; this affects offsets.

    Raises:
        UsageError: The content is empty or contains U+0000.
    """

    content: str
    special: bool = False
    normalized: bool = False
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False

    def __post_init__(self) -> None:
        if not self.content or "\0" in self.content:
            raise UsageError(f"an added token must not be empty or contain U+0000. Received: {self.content!r}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TokenizerSettings:
    """The settings of a tokenizer.

    Args:
        lowercase: Whether to lower-case text: true for uncased models, false for cased models.
        strip_accents: Whether to strip accents (NFD without Mn). None strips them if `lowercase` is true.
        chinese_characters: Whether to make each CJK ideograph a word.
        special_tokens_in_text: Whether special tokens in text become their ids, as in Hugging Face's tokenizers. If
            false, "[MASK]" in text is split like other text, as in the original release.
        added_tokens: The tokens that are found in text as a whole. Tokens that are not `special` are always found.
        never_split: Words between white space that are passed to WordPiece without normalization.
        max_word_length: The length in characters above which a word becomes [UNK]; 200 in the original release, 100 in
            Hugging Face's tokenizers.
        model_max_length: The maximum input length of the model in tokens, for other tools; None if it is unknown.
        normalization: "bert" for the normalization of the original release, or "mediapipe" for that of MediaPipe on
            phones. The latter always lower-cases text, never strips accents, and makes each CJK ideograph a word; words
            above 100 bytes become [UNK], whatever `max_word_length` is.

    Raises:
        UsageError: A value is invalid.
    """

    lowercase: bool = True
    strip_accents: bool | None = None
    chinese_characters: bool = True
    special_tokens_in_text: bool = False
    added_tokens: tuple[AddedToken, ...] = ()
    never_split: tuple[str, ...] = ()
    max_word_length: int = MAX_WORD_LENGTH
    model_max_length: int | None = None
    normalization: str = BERT

    def __post_init__(self) -> None:
        if self.normalization not in NORMALIZATIONS:
            raise UsageError(
                f"normalization must be one of {', '.join(NORMALIZATIONS)}. Received: {self.normalization!r}"
            )
        if self.normalization == MEDIAPIPE and not (
            self.lowercase and not self.strip_accents and self.chinese_characters
        ):
            raise UsageError(
                "MediaPipe lower-cases text, keeps accents, and makes each Chinese character a word. Received: "
                f"lowercase={self.lowercase}, strip_accents={self.strip_accents}, "
                f"chinese_characters={self.chinese_characters} with the normalization mediapipe"
            )
        if not 1 <= self.max_word_length < 1 << 28:
            raise UsageError(
                f"max_word_length must be at least 1, and less than 2**28. Received: {self.max_word_length}"
            )
        if self.model_max_length is not None and self.model_max_length < 1:
            raise UsageError(f"model_max_length must be at least 1. Received: {self.model_max_length}")
        contents = [token.content for token in self.added_tokens]
        if len(set(contents)) < len(contents):
            twice = next(content for content in contents if contents.count(content) > 1)
            raise UsageError(f"added_tokens must name every token once. Received {twice!r} twice")
        for word in self.never_split:
            if not word or any(c.isspace() for c in word) or "\0" in word:
                raise UsageError(f"never_split must hold words without white space. Received: {word!r}")

    @classmethod
    def of_case(cls, *, cased: bool, strip_accents: bool | None) -> TokenizerSettings:
        """Returns the settings for the options `--cased` and `--strip-accents` or `--keep-accents`."""
        # The default is always stored as None, so that equivalent settings are equal.
        return cls(lowercase=not cased, strip_accents=None if strip_accents is (not cased) else strip_accents)

    @property
    def max_word_bytes(self) -> int | None:
        """The length in bytes of UTF-8 above which a word becomes [UNK]; None if there is no limit in bytes."""
        return MEDIAPIPE_WORD_BYTES if self.normalization == MEDIAPIPE else None

    @property
    def strips_accents(self) -> bool:
        """Whether accents are stripped."""
        if self.normalization == MEDIAPIPE:
            return False
        return self.lowercase if self.strip_accents is None else self.strip_accents

    def differences(self, other: TokenizerSettings) -> list[str]:
        """Returns the names of the settings that make the two split ordinary text into different words.

        Settings that affect only rare texts, such as texts with "[MASK]" or a word of 150 characters, do not count, nor
        does `model_max_length`, which is for other tools.

        Example:
            >>> TokenizerSettings(lowercase=False).differences(TokenizerSettings())
            ['lowercase', 'strip_accents']
        """
        return [name for name in _NORMALIZING if _effective(self, name) != _effective(other, name)]


def describe_settings(settings: TokenizerSettings, names: Iterable[str]) -> str:
    """Returns the named settings for a message, such as "lowercase=False, strip_accents=False"."""
    return ", ".join(f"{name}={_effective(settings, name)!r}" for name in names)


def _effective(settings: TokenizerSettings, name: str) -> Any:
    if name == "never_split":
        return sorted(set(settings.never_split))
    return settings.strips_accents if name == "strip_accents" else getattr(settings, name)


def settings_from_dict(values: Mapping[str, Any]) -> TokenizerSettings:
    """Returns the settings that `dataclasses.asdict` converted to JSON values.

    Raises:
        UsageError: A value is invalid.
        TypeError: A setting is unknown or of another type.
        KeyError: Settings of an added token are missing.
    """
    tokens = tuple(AddedToken(**token) for token in values["added_tokens"])
    settings = TokenizerSettings(**{**values, "added_tokens": tokens, "never_split": tuple(values["never_split"])})
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if field.type in ("bool", "bool | None") and value is not None and not isinstance(value, bool):
            raise TypeError(f"{field.name} must be true or false")
    return settings
