"""Answers to a few short texts, computed by LiteRT, Python and NumPy alone.

Between two calls of LiteRT, which reads all weights, the call of a TensorFlow graph takes a millisecond even if it
computes nothing, since its code is no longer in the caches of the processor. A model like MiniLM needs six milliseconds
for one sentence, so two graphs around it would take a quarter of the time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kbert.inference.litert_rows import LiteRtRows
from kbert.tasks.protocol.numpy_answers import NumpyAnsweringTask
from kbert.text.tokenizer import Tokenizer
from kbert.text.truncation import Truncation

_MOST_CHARACTERS = 600
"""The largest number of characters of all texts. Python tokenizes as many in about a millisecond, as the graph does."""


class FewTexts:
    """A function from a few short texts to the arrays that `LiteRtTextModel` returns for them.

    Args:
        task: The task.
        model: The Keras model that `task.build` returned.
        tokenizer: The tokenizer of the model.
        sequence_length: The maximum number of tokens of an input.
        truncation: The rule by which long pairs are truncated.
        encoder: The encoder of the model.
    """

    def __init__(
        self,
        task: NumpyAnsweringTask,
        model: Any,
        tokenizer: Tokenizer,
        sequence_length: int,
        truncation: Truncation,
        encoder: LiteRtRows,
    ) -> None:
        self._task = task
        self._heads = model.numpy_heads()
        self._tokenizer = tokenizer
        self._sequence_length = sequence_length
        self._truncation = truncation
        self._encoder = encoder

    def suits(self, inputs: Mapping[str, Sequence[str]], batch_size: int) -> bool:
        """Returns whether texts are few and short enough, and form one batch.

        Args:
            inputs: The texts by the names of the task's inputs.
            batch_size: The largest number of texts of a batch.
        """
        rows = len(next(iter(inputs.values())))
        characters = sum(len(text) for column in inputs.values() for text in column)
        return 0 < rows <= batch_size and characters <= _MOST_CHARACTERS

    def __call__(self, inputs: Mapping[str, Sequence[str]]) -> dict[str, np.ndarray]:
        """Returns the answers, arrays with a row for each text.

        Args:
            inputs: The texts by the names of the task's inputs, at least one row.
        """
        encodings = [
            self._tokenizer.encode(*row, max_length=self._sequence_length, truncation=self._truncation)
            for row in zip(*([self._text(text) for text in column] for column in inputs.values()), strict=True)
        ]
        ids, mask, types = np.zeros((3, len(encodings), max(map(len, encodings))), np.int32)
        for row, encoding in enumerate(encodings):
            ids[row, : len(encoding)] = encoding.ids
            mask[row, : len(encoding)] = 1
            types[row, : len(encoding)] = encoding.type_ids
        return self._task.numpy_answers(self._heads(self._encoder(ids, mask, types), mask))

    def _text(self, text: str) -> str:
        # Graphs receive UTF-8, in which a surrogate becomes a question mark.
        return self._task.prompted(text).encode("utf-8", "replace").decode("utf-8")
