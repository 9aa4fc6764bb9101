"""The texts that are arguments of a command: TEXT and --pair."""

from __future__ import annotations

import json
from typing import Any

from kbert.errors import UsageError


def given_texts(model: Any, texts: tuple[str, ...], pairs: tuple[str, ...]) -> list[Any]:
    """Returns the arguments as columns of texts for `Predictor.predict`.

    Args:
        model: The loaded model.
        texts: The values of TEXT.
        pairs: The values of --pair.

    Raises:
        UsageError: Only some of the texts are lists of words, or several texts have choices.
    """
    several = model.task.text_inputs[-1].is_list
    if pairs:
        if several and len(texts) > 1:
            raise UsageError(f"--pair gives the choices of one TEXT; put several in a file. Received: {len(texts)}")
        return [list(texts), [list(pairs)] if several else list(pairs)]
    words = [found for text in texts if (found := _words(text)) is not None]
    if words and model.task.examples_of_words(words) is not None:
        if len(words) < len(texts):
            raise UsageError(
                "expected either texts, or JSON lists of words, for all TEXTs. Received: "
                f"{len(words)} lists among {len(texts)} TEXTs"
            )
        return [words]
    if several and len(model.task.text_inputs) == 1 and model.task.examples_of_texts(texts) is None:
        return [[list(texts)]]
    return [list(texts)]


def _words(text: str) -> list[str] | None:
    """Returns the words of a TEXT that is a JSON list of words; None for other texts."""
    if not text.lstrip().startswith("["):
        return None
    try:
        words = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return words if words and all(isinstance(word, str) for word in words) else None
