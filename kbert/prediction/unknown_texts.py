"""Counts the texts whose words are mostly outside the vocabulary of a model, since answers to them mean little."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kbert.prediction.predictor import Predictor
from kbert.tasks.protocol.training_rows import strings
from kbert.text.vocabulary import CONTINUATION, UNK

_AT_ONCE = 1024
_LOG = logging.getLogger("kbert")


class UnknownTexts:
    """Counts the texts of predictions of which more than half of the words are [UNK] for the model.

    Args:
        predictor: The model.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.count = 0
        """The number of such texts."""
        self.total = 0
        """The number of all texts; a pair or a list of texts counts as one."""
        self._columns = [text.column for text in predictor.task.text_inputs if not text.is_span]
        self._tokenizer = predictor.text_model.encode.tokenizer
        vocabulary = self._tokenizer.vocabulary
        self._unknown = vocabulary.unk_id
        self._begins = np.array([not token.startswith(CONTINUATION) for token in vocabulary])

    def watch(self, predictions: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """Yields predictions, counts their texts, and logs the count after the last one."""
        waiting: list[Mapping[str, Any]] = []
        for prediction in predictions:
            waiting.append(prediction)
            if len(waiting) == _AT_ONCE:
                self.add(waiting)
                waiting = []
            yield prediction
        self.add(waiting)
        self.tell()

    def add(self, predictions: Sequence[Mapping[str, Any]]) -> None:
        """Counts the texts of some predictions."""
        texts: list[str] = []
        rows: list[int] = []
        for row, prediction in enumerate(predictions):
            for column in self._columns:
                value = prediction[column]
                parts = [value] if isinstance(value, str) else value
                texts += parts
                rows += [row] * len(parts)
        if texts:
            ids = self._tokenizer.compiled(strings(texts))
            tokens, of_texts = ids.flat_values.numpy(), np.array(rows)[ids.value_rowids().numpy()]
            words = np.bincount(of_texts, self._begins[tokens], len(predictions))
            unknown = np.bincount(of_texts, tokens == self._unknown, len(predictions))
            self.count += int((2 * unknown > words).sum())
        self.total += len(predictions)

    def tell(self) -> None:
        """Logs the count if it is above 0."""
        if self.count:
            _LOG.warning(
                "%s of %s texts have more than half of their words outside the vocabulary (%s), so the answers to them "
                "say little",
                f"{self.count:,}",
                f"{self.total:,}",
                UNK,
            )
