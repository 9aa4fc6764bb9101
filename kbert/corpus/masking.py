"""Masking for the masked language model, on whole batches at once."""

from __future__ import annotations

import dataclasses

import numpy as np

from kbert.errors import UsageError
from kbert.text.vocabulary import CONTINUATION, Vocabulary


@dataclasses.dataclass(frozen=True)
class MaskingSettings:
    """How tokens are chosen and replaced (arXiv 1810.04805, section 3.1).

    Args:
        probability: Part of the tokens that are predicted.
        max_predictions: Most predictions an example, P.
        whole_words: Choose all pieces of a word or none.
    """

    probability: float = 0.15
    max_predictions: int = 20
    whole_words: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.probability < 1:
            raise UsageError(f"the masking probability must be in (0, 1). Received: {self.probability}")
        if self.max_predictions < 1:
            raise UsageError(f"max_predictions must be at least 1. Received: {self.max_predictions}")


@dataclasses.dataclass(frozen=True)
class MaskedBatch:
    """The outcome of masking: see kbert.features for what each array means."""

    input_word_ids: np.ndarray
    """int32 [B, S]."""
    masked_lm_positions: np.ndarray
    """int32 [B, P]."""
    masked_lm_ids: np.ndarray
    """int32 [B, P]."""
    masked_lm_weights: np.ndarray
    """float32 [B, P]."""


class Masker:
    """Masks batches of token ids.

    Of the chosen tokens 80 % become [MASK], 10 % a random token and 10 % stay.

    Args:
        vocabulary: The vocabulary that the ids are of.
        settings: How tokens are chosen.
    """

    def __init__(self, vocabulary: Vocabulary, settings: MaskingSettings) -> None:
        self.settings = settings
        self._vocabulary_size = len(vocabulary)
        self._mask_id = vocabulary.mask_id
        self._pad_id = vocabulary.pad_id
        self._special = np.zeros(len(vocabulary), bool)
        self._special[[vocabulary.pad_id, vocabulary.classification_id, vocabulary.separator_id]] = True
        self._continues = np.array([token.startswith(CONTINUATION) for token in vocabulary])

    def __call__(self, input_word_ids: np.ndarray, rng: np.random.Generator) -> MaskedBatch:
        """Masks token ids, int32 [B, S], padded with [PAD]."""
        batch, length = input_word_ids.shape
        eligible = ~self._special[input_word_ids]
        tokens = (input_word_ids != self._pad_id).sum(1)
        wanted = np.clip(np.rint(tokens * self.settings.probability), 1, self.settings.max_predictions)
        wanted = np.minimum(wanted, eligible.sum(1)).astype(np.int64)

        keys = rng.random((batch, length), np.float32)
        if self.settings.whole_words:
            chosen = self._choose_words(input_word_ids, eligible, keys, wanted)
        else:
            keys[~eligible] = 2.0
            order = np.argsort(keys, axis=1, kind="stable")
            chosen = np.zeros((batch, length), bool)
            np.put_along_axis(chosen, order, np.arange(length) < wanted[:, None], axis=1)

        rows, columns = np.nonzero(chosen)
        counts = chosen.sum(1)
        places = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        positions = np.zeros((batch, self.settings.max_predictions), np.int32)
        ids = np.zeros_like(positions)
        weights = np.zeros(positions.shape, np.float32)
        originals = input_word_ids[rows, columns]
        positions[rows, places] = columns
        ids[rows, places] = originals
        weights[rows, places] = 1.0

        fate = rng.random(len(rows), np.float32)
        random_ids = rng.integers(0, self._vocabulary_size, len(rows), np.int32)
        masked = input_word_ids.copy()
        masked[rows, columns] = np.where(fate < 0.8, self._mask_id, np.where(fate < 0.9, random_ids, originals))
        return MaskedBatch(masked, positions, ids, weights)

    def _choose_words(self, ids: np.ndarray, eligible: np.ndarray, keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """Takes words in random order, each if all its pieces still fit into `wanted`, bool [B, S]."""
        length = ids.shape[1]
        columns = np.arange(length)
        begins = eligible & ~(self._continues[ids] & np.roll(eligible, 1, axis=1) & (columns > 0))
        first = np.maximum.accumulate(np.where(begins, columns, 0), axis=1)
        keys = np.take_along_axis(keys, first, axis=1)
        word = np.arange(len(ids))[:, None] * length + first
        sizes = np.bincount(word[eligible], minlength=ids.size)[word]
        chosen = np.zeros(ids.shape, bool)
        left = wanted.copy()
        while True:
            # In this order the pieces of a word stand together, and a word fits if its last piece does.
            open_ = eligible & ~chosen & (sizes <= left[:, None])
            order = np.argsort(np.where(open_, keys, 2.0), axis=1, kind="stable")
            sorted_first = np.take_along_axis(first, order, axis=1)
            ends = np.ones(ids.shape, bool)
            ends[:, :-1] = sorted_first[:, 1:] != sorted_first[:, :-1]
            last = np.minimum.accumulate(np.where(ends, columns, length)[:, ::-1], axis=1)[:, ::-1]
            fits = (last < left[:, None]) & np.take_along_axis(open_, order, axis=1)
            if not fits.any():
                return chosen
            taken = np.zeros(ids.shape, bool)
            np.put_along_axis(taken, order, fits, axis=1)
            chosen |= taken
            left -= taken.sum(1)
