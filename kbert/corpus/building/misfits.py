"""Logs warnings of a build if text, vocabulary and options do not fit together."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping

from kbert.text.settings import TokenizerSettings
from kbert.text.text_sample import TextSample, describe_long_words
from kbert.text.tokenizer import Tokenizer
from kbert.text.unknown_words import describe_unknown

_LOG = logging.getLogger("kbert")
_MUCH_UNKNOWN = 0.03
_MANY_LONG = 0.001
"""The numbers of [UNK] tokens and of words that are too long, per token, above which there is a warning."""
_MUCH_CHINESE = 0.05


def tell_whole_words(sample: TextSample, settings: TokenizerSettings) -> None:
    """Warns if the text contains Chinese, since whole-word masking finds Chinese words only with a word list."""
    if settings.chinese_characters and sample.chinese > _MUCH_CHINESE:
        _LOG.warning(
            f"--whole-words has no effect on Chinese characters, which are {sample.chinese:.0%} of the text: each is a "
            "token of its own, and nothing shows which of them make a word; pass a word list with --word-list"
        )


def tell_counts(
    counts: Mapping[str, int],
    sample: TextSample,
    tokenizer: Tokenizer,
    unknown_words: Callable[[], Counter[str]],
    *,
    has_words: bool,
) -> None:
    """Warns about words that are too long, unknown words, and a word list whose words never occur.

    Args:
        counts: The counts of the finished records.
        sample: A sample of the text, from which the messages take examples.
        tokenizer: The tokenizer of the text.
        unknown_words: Returns the unknown words in a sample of the text. It is only called if there are many.
        has_words: Whether there is a word list.
    """
    tokens = max(1, counts.get("tokens", 0))
    long_words = counts.get("long_words", 0)
    if long_words:
        level = logging.WARNING if long_words > _MANY_LONG * tokens else logging.INFO
        said = describe_long_words(long_words, tokenizer.settings.max_word_length, sample.long_word)
        _LOG.log(level, f"each word that is too long is one [UNK]: {said}")
    unknown = (counts.get("unknown", 0) - long_words) / tokens
    if unknown > _MUCH_UNKNOWN:
        said = describe_unknown(unknown, unknown_words(), tokenizer.vocabulary)
        _LOG.warning(
            f"{said}; is this vocabulary for the text's language, and are case and accents kept or "
            "stripped (--cased, --keep-accents) as in the text that it was made from?"
        )
    if has_words and not counts.get("word_continuations"):
        _LOG.warning(
            "no word of --word-list occurs in the text after tokenization, so each token is masked by itself; a word "
            "list contains one word of several characters per line"
        )
