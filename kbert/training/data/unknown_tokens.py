"""Warnings about training texts that the tokenizer of the model cannot represent."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kbert.tasks.protocol.trainable import TrainableTask
from kbert.tasks.protocol.training_rows import TrainingRows
from kbert.text.text_sample import describe_long_words
from kbert.text.tokenizer import Tokenizer
from kbert.text.unknown_words import describe_unknown, long_words, unknown_words

_LOG = logging.getLogger("kbert")
_MUCH_UNKNOWN = 0.01
"""The part of [UNK] tokens above which there is a warning."""


def warn_of_unknown_tokens(
    task: TrainableTask[Any], examples: Sequence[Any], rows: TrainingRows, tokenizer: Tokenizer, *, pretrained: bool
) -> None:
    """Logs a warning if many tokens of the training texts are [UNK], and one if words are too long.

    The tokens are counted in `rows`, which are tokenized anyway. Only if there are many [UNK] tokens, a sample of the
    texts is tokenized again for the words that they stand for.

    Args:
        task: The task.
        examples: The training examples.
        rows: The tokens of the examples.
        tokenizer: The tokenizer.
        pretrained: Whether the model has pretrained weights, which depend on its vocabulary.
    """
    vocabulary = tokenizer.vocabulary
    ids = rows.ids.values
    unknown = int(np.count_nonzero(ids == vocabulary.unk_id))
    if not unknown:
        return
    spans = {text.name for text in task.text_inputs if text.is_span}
    texts = {name: values for name, values in task.texts_of(examples).items() if name not in spans}
    count, example = long_words(_flat(texts), tokenizer)
    if count:
        said = describe_long_words(count, tokenizer.settings.max_word_length, example)
        _LOG.warning(f"each word that is too long is one [UNK]: {said}")
    tokens = len(ids) - sum(np.count_nonzero(ids == each) for each in (vocabulary.cls_id, vocabulary.sep_id))
    part = max(0, unknown - count) / max(1, tokens)
    if part > _MUCH_UNKNOWN:
        said = describe_unknown(part, unknown_words(_flat(texts), tokenizer), vocabulary)
        way = (
            "`kbert vocab extend` adds words to a model, and another model may have them in its vocabulary"
            if pretrained
            else "`kbert vocab train` makes a vocabulary from texts such as these"
        )
        _LOG.warning(f"{said}; the model cannot tell such words apart. {way}")


def _flat(texts: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    """Yields the texts of all inputs, also those in lists."""
    for row in zip(*texts.values(), strict=True):
        for value in row:
            yield from (value,) if isinstance(value, str) else value
