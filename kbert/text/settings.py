"""How a tokenizer treats text: one object that vocabularies, corpora, model folders and served graphs share."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from kbert.errors import UsageError

MAX_WORD_LENGTH = 200
"""Longer words are [UNK], as in the original."""

_NORMALIZING = ("lowercase", "strip_accents", "chinese_characters", "never_split")
"""The settings that decide which words ordinary text has."""


@dataclasses.dataclass(frozen=True)
class AddedToken:
    """A token that is found in text as a whole, before text is taken apart into words.

    The fields are those of Hugging Face's tokenizers.

    Args:
        content: The token. White space in it must occur in the text exactly; if the token is `normalized`, any white
            space matches any other.
        special: A token of the model's own, such as [MASK]: found only where `special_tokens_in_text` says so,
            and left out by `decode`.
        normalized: Look for it in normalized text, so that "Covid" also finds "COVID" in an uncased model.
        single_word: Not inside a word: no letter, digit, mark or underscore may touch it.
        lstrip: The white space before it belongs to it, which shows in offsets.
        rstrip: The white space after it, likewise.

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
    """How text is tokenized.

    Args:
        lowercase: Lower-case: true for uncased models, false for cased ones.
        strip_accents: Strip accents (NFD without Mn); None does as `lowercase` says.
        chinese_characters: Make each CJK ideograph a word.
        special_tokens_in_text: False, as in the original: "[MASK]" in text is split like any text. True, as in
            Hugging Face's tokenizers: special tokens in text become their ids.
        added_tokens: Tokens found in text as a whole. Those that are not `special` always are.
        never_split: Words between white space that go to WordPiece as they are.
        max_word_length: Longer words, in characters, are [UNK]; 200 in the original, 100 in Hugging Face's.
        model_max_length: The longest input of the model, in tokens, for other tools; None where it is not known.

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

    def __post_init__(self) -> None:
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
        """Returns the settings that the options `--cased` and `--strip-accents` or `--keep-accents` ask for."""
        # The usual choice has one form, so that equal settings are equal objects.
        return cls(lowercase=not cased, strip_accents=None if strip_accents is (not cased) else strip_accents)

    @property
    def strips_accents(self) -> bool:
        """Whether accents are stripped."""
        return self.lowercase if self.strip_accents is None else self.strip_accents

    def differences(self, other: TokenizerSettings) -> list[str]:
        """Returns the names of the settings with which the two take ordinary text apart into different words.

        Settings that matter for rare texts alone, such as those that hold "[MASK]" or a word of 150 characters, and
        `model_max_length`, which is for other tools, do not count.

        Example:
            >>> TokenizerSettings(lowercase=False).differences(TokenizerSettings())
            ['lowercase', 'strip_accents']
        """
        return [name for name in _NORMALIZING if _effective(self, name) != _effective(other, name)]


def describe_settings(settings: TokenizerSettings, names: Iterable[str]) -> str:
    """Returns settings for a message: "lowercase=False, strip_accents=False"."""
    return ", ".join(f"{name}={_effective(settings, name)!r}" for name in names)


def _effective(settings: TokenizerSettings, name: str) -> Any:
    if name == "never_split":
        return sorted(set(settings.never_split))
    return settings.strips_accents if name == "strip_accents" else getattr(settings, name)


def settings_from_dict(values: Mapping[str, Any]) -> TokenizerSettings:
    """Returns the settings that `dataclasses.asdict` gave, from JSON.

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
