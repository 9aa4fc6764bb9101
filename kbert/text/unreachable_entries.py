"""Finds vocabulary entries that never occur in tokenized text, because normalization changes their characters."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence

from kbert.text.replacement_table import is_cjk
from kbert.text.settings import MEDIAPIPE, TokenizerSettings
from kbert.text.tokenizer import Tokenizer
from kbert.text.vocabulary import CONTINUATION

CAPITALS = "capitals"
ACCENTS = "accents"
CHINESE_WORDS = "Chinese words"
_EXAMPLES = 3
_WORDS = {
    CAPITALS: ("capitals, and text is lower-cased", "add --cased if the vocabulary is of cased text"),
    ACCENTS: (
        "accents, vowel signs or other marks that are stripped with the accents",
        "add --keep-accents if the vocabulary is of text with its accents",
    ),
    CHINESE_WORDS: (
        "Chinese characters beside others, and each is a word of its own in text",
        'give --vocab a folder whose tokenizer_config.json has "tokenize_chinese_chars": false',
    ),
}
"""For each reason, a description of the entries, and advice for the case that `--vocab` is a vocab.txt."""


def unreachable_entries(tokenizer: Tokenizer) -> dict[str, list[str]]:
    """Returns the pieces that never occur in normalized text, by reason: CAPITALS, ACCENTS or CHINESE_WORDS.

    Special tokens, added tokens, words that are never split, and markup such as [unused1] and <S> do not count.

    Example:
        >>> vocabulary = Vocabulary("[PAD] [UNK] [CLS] [SEP] [MASK] the The café".split())
        >>> unreachable_entries(Tokenizer(vocabulary))
        {'capitals': ['The'], 'accents': ['café']}
    """
    settings = tokenizer.settings
    vocabulary = tokenizer.vocabulary
    left_out = {*settings.never_split, *(token.content for token in settings.added_tokens)}
    found: dict[str, list[str]] = {}
    for token in vocabulary.tokens[: vocabulary.piece_count]:
        if token in left_out or _is_markup(token):
            continue
        reason = _reason(token.removeprefix(CONTINUATION) or token, settings)
        if reason:
            found.setdefault(reason, []).append(token)
    return found


def describe_unreachable(
    reason: str, tokens: Sequence[str], size: int, where: str | os.PathLike[str], way_out: str = ""
) -> str:
    """Returns a message about the entries of one reason.

    Args:
        reason: A key of the result of `unreachable_entries`.
        tokens: The entries.
        size: The number of entries in the vocabulary.
        where: The file or folder of the vocabulary.
        way_out: The advice to give; "" names the option of the commands.
    """
    holding, option = _WORDS[reason]
    # Words come first, since they are better examples than single letters and marks.
    telling = sorted(tokens, key=lambda token: len(token.removeprefix(CONTINUATION)) < 2)
    examples = ", ".join(map(repr, telling[:_EXAMPLES])) + (" …" if len(tokens) > _EXAMPLES else "")
    return (
        f"{reason} in {len(tokens):,} of the {size:,} entries of {where} ({examples}): no text ever gives these, since "
        f"they hold {holding}; {way_out or option}"
    )


def _is_markup(token: str) -> bool:
    return len(token) > 2 and (token[0], token[-1]) in (("[", "]"), ("<", ">"))


def _reason(body: str, settings: TokenizerSettings) -> str | None:
    if settings.lowercase and body != (_ascii_lower(body) if settings.normalization == MEDIAPIPE else body.lower()):
        return CAPITALS
    if settings.strips_accents and body != _without_accents(body):
        return ACCENTS
    if settings.chinese_characters and len(body) > 1 and any(is_cjk(ord(character)) for character in body):
        return CHINESE_WORDS
    return None


def _ascii_lower(text: str) -> str:
    return "".join(c.lower() if c.isascii() else c for c in text)


def _without_accents(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")
