"""Checks that a corpus was built with the vocabulary and the tokenizer settings of a model."""

from __future__ import annotations

import logging

from kbert import files
from kbert.corpus.reading.pipeline import PretrainingBatches
from kbert.errors import UsageError
from kbert.text.settings import describe_settings
from kbert.text.tokenizer import Tokenizer

_LOG = logging.getLogger("kbert")
_SHOWN = 3


def check_corpus(batches: PretrainingBatches, tokenizer: Tokenizer, *, corpus: files.PathLike, model: str) -> None:
    """Checks that a corpus was built with a model's tokenizer, and warns about added tokens that the corpus ignores.

    Args:
        batches: The reader of the corpus.
        tokenizer: The tokenizer of the model.
        corpus: The name of the corpus, for messages.
        model: The name of the model's folder, for messages.

    Raises:
        UsageError: The corpus has another vocabulary, or its text was normalized in another way.
    """
    theirs = batches.tokenizer
    way_out = f"build the corpus with `kbert corpus build --vocab {model}`"
    if not batches.source.is_own:
        way_out = f"if the records were made with the tokenizer of the model, add --vocab {model}"
    if not tokenizer.vocabulary.has_pieces(theirs.vocabulary):
        raise UsageError(f"{model} and the corpus {corpus} must have the same vocabulary; {way_out}")
    names = tokenizer.settings.differences(theirs.settings)
    if names:
        raise UsageError(
            f"{model} tokenizes text with {describe_settings(tokenizer.settings, names)}, but the corpus {corpus} "
            f"was made with {describe_settings(theirs.settings, names)}; {way_out}"
        )
    held = {token.content for token in theirs.settings.added_tokens}
    missing = [t.content for t in tokenizer.settings.added_tokens if not t.special and t.content not in held]
    if missing:
        shown = ", ".join(map(repr, missing[:_SHOWN])) + (" …" if len(missing) > _SHOWN else "")
        _LOG.warning(
            f"the corpus {corpus} was made without the {len(missing):,} added tokens of {model} ({shown}), so the "
            f"model keeps them but learns nothing about them; {way_out} to recognize them in the text"
        )


def same_tokenizer(first: PretrainingBatches, second: PretrainingBatches) -> bool:
    """Returns whether two corpora were built with the same vocabulary and the same text normalization."""
    return first.vocabulary == second.vocabulary and not first.tokenizer.settings.differences(second.tokenizer.settings)
