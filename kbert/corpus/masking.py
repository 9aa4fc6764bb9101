"""Masks batches of token ids for the masked language model."""

from __future__ import annotations

import dataclasses

import numpy as np

from kbert.errors import UsageError
from kbert.text.vocabulary import CONTINUATION, Vocabulary

_LONGEST_SPAN = 10
_SPAN_LENGTHS = np.cumsum(0.8 ** np.arange(_LONGEST_SPAN)) / np.sum(0.8 ** np.arange(_LONGEST_SPAN))
"""The probability that a span has at most 1, 2, ... words."""


@dataclasses.dataclass(frozen=True)
class MaskingSettings:
    """The settings for masking (arXiv 1810.04805, section 3.1).

    Args:
        probability: The fraction of tokens that are predicted.
        max_predictions: The maximum number of predictions per example, P.
        whole_words: Whether to choose all pieces of a word or none.
        spans: Whether to choose spans of words (arXiv 1907.10529, section 3.1). Span lengths in words follow a
            geometric distribution with p = 0.2, truncated at 10. The tokens of a span become all [MASK], or all random
            tokens, or all stay.

    Raises:
        UsageError: `probability` or `max_predictions` is invalid.
    """

    probability: float = 0.15
    max_predictions: int = 20
    whole_words: bool = False
    spans: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.probability < 1:
            raise UsageError(f"the masking probability must be in (0, 1). Received: {self.probability}")
        if self.max_predictions < 1:
            raise UsageError(f"max_predictions must be at least 1. Received: {self.max_predictions}")


@dataclasses.dataclass(frozen=True)
class MaskedBatch:
    """The result of masking; kbert.features describes each array."""

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

    Of the chosen tokens, 80 % become [MASK], 10 % become a random token, and 10 % stay.

    Args:
        vocabulary: The vocabulary of the ids.
        settings: The settings for masking.
    """

    def __init__(self, vocabulary: Vocabulary, settings: MaskingSettings) -> None:
        self.settings = settings
        self._vocabulary_size = len(vocabulary)
        self._mask_id = vocabulary.mask_id
        self._pad_id = vocabulary.pad_id
        self._special = np.zeros(len(vocabulary), bool)
        self._special[[vocabulary.pad_id, vocabulary.cls_id, vocabulary.sep_id]] = True
        self._continues = np.array([token.startswith(CONTINUATION) for token in vocabulary])

    def __call__(
        self,
        input_word_ids: np.ndarray,
        rng: np.random.Generator,
        *,
        word_continuations: np.ndarray | None = None,
    ) -> MaskedBatch:
        """Masks token ids, int32 [B, S], padded with [PAD].

        Args:
            input_word_ids: The ids. The number of chosen tokens is the masking probability times the number of tokens
                including special tokens, rounded up or down at random, and at least 1.
            rng: The generator for all random choices.
            word_continuations: Marks tokens that continue a word although they do not begin with "##", bool [B, S].
        """
        batch, length = input_word_ids.shape
        eligible = ~self._special[input_word_ids]
        tokens = (input_word_ids != self._pad_id).sum(1)

        keys = rng.random((batch, length), np.float32)
        wanted = np.floor(tokens * self.settings.probability + rng.random((batch,), np.float32))
        wanted = np.clip(wanted, 1, self.settings.max_predictions)
        wanted = np.minimum(wanted, eligible.sum(1)).astype(np.int64)
        groups = None
        if self.settings.spans or self.settings.whole_words:
            words = self._words(input_word_ids, eligible, word_continuations)
            if self.settings.spans:
                chosen, groups = _choose_spans(words, keys, wanted, rng)
            else:
                chosen = _choose_words(words, eligible, keys, wanted)
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
        if groups is not None:
            _, first, inverse = np.unique(groups[rows, columns], return_index=True, return_inverse=True)
            fate = fate[first][inverse]
        random_ids = rng.integers(0, self._vocabulary_size, len(rows), np.int32)
        masked = input_word_ids.copy()
        masked[rows, columns] = np.where(fate < 0.8, self._mask_id, np.where(fate < 0.9, random_ids, originals))
        return MaskedBatch(masked, positions, ids, weights)

    def _words(self, ids: np.ndarray, eligible: np.ndarray, continuations: np.ndarray | None) -> _Words:
        """Finds the words of a batch. The token after a special token always begins a word."""
        columns = np.arange(ids.shape[1])
        continues = self._continues[ids]
        if continuations is not None:
            continues = continues | continuations
        begins = eligible & ~(continues & np.roll(eligible, 1, axis=1) & (columns > 0))
        first = np.maximum.accumulate(np.where(begins, columns, 0), axis=1)
        word = np.arange(len(ids))[:, None] * ids.shape[1] + first
        return _Words(begins, first, np.bincount(word[eligible], minlength=ids.size)[word])


@dataclasses.dataclass(frozen=True)
class _Words:
    """The words of a batch. Each array is [B, S]."""

    begins: np.ndarray
    """Whether a word begins at each position."""
    first: np.ndarray
    """The position where the word at each position begins."""
    sizes: np.ndarray
    """The number of tokens in the word at each position."""


def _choose_words(words: _Words, eligible: np.ndarray, keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Chooses words in random order, each only if all its pieces still fit into `wanted`; returns bool [B, S]."""
    first, sizes = words.first, words.sizes
    length = first.shape[1]
    columns = np.arange(length)
    keys = np.take_along_axis(keys, first, axis=1)
    chosen = np.zeros(first.shape, bool)
    left = wanted.copy()
    while True:
        # In this order the pieces of a word are adjacent, so a word fits if its last piece does.
        open_ = eligible & ~chosen & (sizes <= left[:, None])
        order = np.argsort(np.where(open_, keys, 2.0), axis=1, kind="stable")
        sorted_first = np.take_along_axis(first, order, axis=1)
        ends = np.ones(first.shape, bool)
        ends[:, :-1] = sorted_first[:, 1:] != sorted_first[:, :-1]
        last = np.minimum.accumulate(np.where(ends, columns, length)[:, ::-1], axis=1)[:, ::-1]
        fits = (last < left[:, None]) & np.take_along_axis(open_, order, axis=1)
        if not fits.any():
            return chosen
        taken = np.zeros(first.shape, bool)
        np.put_along_axis(taken, order, fits, axis=1)
        chosen |= taken
        left -= taken.sum(1)


def _choose_spans(
    words: _Words, keys: np.ndarray, wanted: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Chooses spans that begin at random words, each as long as it fits into `wanted`.

    Returns:
        Whether each token is chosen, bool [B, S], and the number of its span, int64 [B, S].
    """
    batch, length = words.first.shape
    chosen = np.zeros((batch, length), bool)
    groups = np.zeros((batch, length), np.int64)
    left = wanted.copy()
    spans = 0
    while True:
        open_ = words.begins & ~chosen & (words.sizes <= left[:, None])
        rows = np.flatnonzero(open_.any(1))
        if not len(rows):
            return chosen, groups
        starts = np.where(open_[rows], keys[rows], -1.0).argmax(1)
        lengths = np.searchsorted(_SPAN_LENGTHS, rng.random((len(rows),)), side="right") + 1
        ends = starts.copy()
        for number in range(_LONGEST_SPAN):
            place = np.minimum(ends, length - 1)
            goes_on = (number < lengths) & (ends < length) & open_[rows, place]
            sizes = words.sizes[rows, place]
            goes_on &= ends + sizes - starts <= left[rows]
            if not goes_on.any():
                break
            ends += np.where(goes_on, sizes, 0)
            lengths = np.where(goes_on, lengths, 0)
        columns = np.arange(length)
        taken = (columns >= starts[:, None]) & (columns < ends[:, None])
        chosen[rows] |= taken
        groups[rows] += taken * (spans + 1 + np.arange(len(rows)))[:, None]
        spans += len(rows)
        left[rows] -= ends - starts
