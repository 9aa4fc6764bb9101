"""The tokenizer with which MediaPipe runs a model on phones."""

from __future__ import annotations

from kbert.errors import UsageError
from kbert.text.settings import MEDIAPIPE, MEDIAPIPE_WORD_BYTES, TokenizerSettings
from kbert.text.tokenizer import Tokenizer


def mediapipe_tokenizer(tokenizer: Tokenizer) -> Tokenizer:
    """Returns the tokenizer with the same vocabulary and MediaPipe's normalization.

    MediaPipe reads nothing but the vocabulary. So text is lower-cased even if the given tokenizer is cased, and no
    tokens are found in text as a whole: "[MASK]" in text, added tokens, and words that are never split are split like
    other text.

    Args:
        tokenizer: The tokenizer of a model.

    Example:
        >>> mediapipe_tokenizer(Tokenizer("vocab.txt")).encode("Café au lait").tokens
        ['[CLS]', '[UNK]', 'au', 'lait', '[SEP]']
    """
    settings = tokenizer.settings
    return Tokenizer.from_settings(
        tokenizer.vocabulary,
        TokenizerSettings(
            normalization=MEDIAPIPE,
            # A limit in characters that no word within the limit in bytes exceeds.
            max_word_length=max(settings.max_word_length, MEDIAPIPE_WORD_BYTES),
            model_max_length=settings.model_max_length,
        ),
    )


def check_uncased(tokenizer: Tokenizer, way_out: str) -> None:
    """Checks that MediaPipe's normalization fits a model: MediaPipe lower-cases all text.

    Args:
        tokenizer: The tokenizer of the model.
        way_out: What the user can do instead, for the message.

    Raises:
        UsageError: The tokenizer keeps case.
    """
    if not tokenizer.lowercase:
        raise UsageError(
            f"expected an uncased model, since MediaPipe lower-cases all text. Received: a cased model; {way_out}"
        )
