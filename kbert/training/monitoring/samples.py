"""Samples: texts whose masks the model fills in from time to time during a run, for people to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kbert import features
from kbert.text.vocabulary import CLS, CONTINUATION, PAD, SPECIAL_TOKENS, Vocabulary
from kbert.training.run_folder.runs import SAMPLES_FILE
from kbert.training.run_folder.step_rows import StepRows

SAMPLES = 3
"""The number of examples in a sample."""


class Samples:
    """Fills in the masks of a few examples, and writes the results to samples.jsonl and TensorBoard.

    Args:
        model: A model whose outputs include `mlm_logits`.
        batch: A batch of examples with masks, of which the first SAMPLES are used.
        vocabulary: The vocabulary of the model.
        folder: The folder of the run.
    """

    def __init__(self, model: Any, batch: Mapping[str, np.ndarray], vocabulary: Vocabulary, folder: Path) -> None:
        self._batch = {name: values[:SAMPLES] for name, values in batch.items()}
        self._vocabulary = vocabulary
        self._rows = StepRows(folder / SAMPLES_FILE)
        self._probabilities = tf.function(
            lambda batch: tf.nn.softmax(model(batch, training=False)["mlm_logits"]), autograph=False
        )

    def __call__(self, step: int) -> None:
        """Writes the samples of a step, and drops samples of later steps that a stopped run wrote."""
        texts = self.fill()
        self._rows.drop_after(step - 1)
        self._rows.append({"step": step, "samples": texts})
        lines = [f"{index}. {as_markdown(text)}" for index, text in enumerate(texts, 1)]
        tf.summary.text("samples", "\n".join(lines), step=step)

    def fill(self) -> list[list[Any]]:
        """Returns the words of each example in order.

        A word is a string. A masked position is a dictionary with "expected", "predicted" and "probability".
        """
        probabilities = self._probabilities(self._batch).numpy()
        ids = self._batch[features.INPUT_WORD_IDS.name]
        positions = self._batch[features.MASKED_LM_POSITIONS.name]
        expected = self._batch[features.MASKED_LM_IDS.name]
        weights = self._batch[features.MASKED_LM_WEIGHTS.name]
        texts = []
        for row in range(len(ids)):
            tokens: list[Any] = [self._vocabulary[index] for index in ids[row].tolist()]
            for place in np.flatnonzero(weights[row]):
                best = int(probabilities[row, place].argmax())
                tokens[positions[row, place]] = {
                    "expected": self._vocabulary[int(expected[row, place])],
                    "predicted": _name(self._vocabulary, best),
                    "probability": round(float(probabilities[row, place, best]), 4),
                }
            texts.append(_words([token for token in tokens if token not in (PAD, CLS)]))
        return texts


def as_markdown(words: Sequence[Any]) -> str:
    """Returns a filled-in text as one line: predictions are bold, and the expected word follows a wrong prediction."""
    shown = []
    for word in words:
        if isinstance(word, str):
            shown.append(_escaped(word))
        elif word["predicted"] == word["expected"]:
            shown.append(f"**{_escaped(word['predicted'])}**")
        else:
            shown.append(f"**{_escaped(word['predicted'])}** ({_escaped(word['expected'])})")
    return " ".join(shown)


def _words(tokens: Sequence[Any]) -> list[Any]:
    """Joins WordPiece tokens to words, except where a token is masked."""
    words: list[Any] = []
    for token in tokens:
        joins = isinstance(token, str) and token.startswith(CONTINUATION) and token != CONTINUATION
        if joins and words and isinstance(words[-1], str) and words[-1] not in SPECIAL_TOKENS:
            words[-1] += token[len(CONTINUATION) :]
        else:
            words.append(token)
    return words


def _name(vocabulary: Vocabulary, index: int) -> str:
    """Returns the token of an id; a model may have more output rows than its vocabulary has tokens."""
    return vocabulary[index] if index < len(vocabulary) else f"#{index}"


def _escaped(text: str) -> str:
    return "".join(f"\\{character}" if character in "\\`*_[]()#<>|~" else character for character in text)
