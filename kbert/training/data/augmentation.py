"""Data augmentation for fine-tuning: words are replaced by synonyms, or by predictions of the starting model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kbert import files
from kbert.errors import DataError, UsageError
from kbert.model_folder.bundle import Bundle, is_bundle
from kbert.model_folder.hub import resolve
from kbert.prediction.loading import predictor_of
from kbert.tasks.fill_mask import FillMaskTask
from kbert.text.vocabulary import MASK
from kbert.training.data.word_replacement import (
    Replace,
    Synonyms,
    augmented,
    chosen_spans,
    read_synonyms,
    substituted,
    word_spans,
)
from kbert.training.options import FinetuneOptions


def with_augmentation(examples: Sequence[Any], options: FinetuneOptions) -> list[Any]:
    """Returns the examples, followed by changed copies of them if the options request any.

    Args:
        examples: The training examples.
        options: The options of the run.

    Raises:
        UsageError: The task has examples of another kind, or the model does not predict words.
        DataError: The file of synonyms is invalid, or none of its words is in the texts.
    """
    ways: list[Replace] = []
    if options.synonyms is not None:
        ways.append(Synonyms(read_synonyms(options.synonyms)).replace)
    if options.augment is not None:
        ways.append(MaskedWords(options.model).replace)
    found = augmented(examples, ways, copies=options.augment_copies, seed=options.seed)
    if options.synonyms is not None and len(found) == len(examples):
        raise DataError("expected words that occur in the training texts. The file has none of them", options.synonyms)
    return found


class MaskedWords:
    """Replaces words by predictions of a masked language model, drawn with their probabilities.

    This is the method of arXiv 1812.06705, except that the model does not know the label.

    Args:
        model: A pretrained model folder.

    Raises:
        UsageError: The model has no head for a masked language model.
    """

    def __init__(self, model: str | files.PathLike) -> None:
        folder = Path(resolve(model))
        bundle = Bundle.load(folder) if is_bundle(folder) else None
        task = None if bundle is None else FillMaskTask.from_foreign(bundle, paired=False)
        if bundle is None or task is None:
            raise UsageError(
                f"augment='masked' needs a pretrained --model, which predicts words; {model} does not. "
                "Give a model that `kbert pretrain` made, or --synonyms"
            )
        self._predictor = predictor_of(bundle, task, folder)

    def replace(self, texts: Sequence[str], rng: np.random.Generator) -> list[str]:
        """Returns the texts with some words replaced; words beyond the model's last position are unchanged."""
        spans = [[] if MASK in text else chosen_spans(word_spans(text), rng) for text in texts]
        masked = [
            substituted(text, [(begin, end, MASK) for begin, end in chosen])
            for text, chosen in zip(texts, spans, strict=True)
        ]
        new = list(texts)
        asked = [index for index, chosen in enumerate(spans) if chosen]
        for index, row in zip(asked, self._predictor.predict([masked[index] for index in asked]), strict=True):
            words = []
            for (begin, end), pieces in zip(spans[index], row["masks"], strict=False):
                word = _drawn(pieces, texts[index][begin:end], rng)
                if word is not None:
                    words.append((begin, end, word))
            new[index] = substituted(texts[index], words)
        return new


def _drawn(pieces: Mapping[str, float], old: str, rng: np.random.Generator) -> str | None:
    """Draws one of the predicted tokens that are whole words and differ from the old word; None if there is none."""
    words = [piece for piece in pieces if piece.isalnum() and piece.lower() != old.lower()]
    if not words:
        return None
    weights = np.array([pieces[word] for word in words], np.float64)
    return words[int(rng.choice(len(words), p=weights / weights.sum()))]
