"""Pretraining examples of different lengths, as arrays without padding."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from kbert import features
from kbert.corpus.masking import Masker

_MASKING = tuple(feature.name for feature in features.MASKING_FEATURES)
_MASKED = 1024
"""The number of examples that are masked at once."""


@dataclasses.dataclass(frozen=True)
class Ragged:
    """Rows of values of different lengths.

    Args:
        values: The values of all rows, one row after the other.
        splits: The index in `values` where each row begins, followed by the end of the last row: int64 [rows + 1].
    """

    values: np.ndarray
    splits: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """The number of values in each row."""
        return np.diff(self.splits)

    @classmethod
    def of(cls, values: np.ndarray, lengths: np.ndarray) -> Ragged:
        """Returns the values, split into rows of the given lengths."""
        return cls(values, np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]))

    @classmethod
    def join(cls, parts: Sequence[Ragged]) -> Ragged:
        """Returns the rows of all parts, concatenated."""
        return cls.of(np.concatenate([part.values for part in parts]), np.concatenate([part.lengths for part in parts]))

    def kept(self, keep: np.ndarray) -> Ragged:
        """Returns the rows without the values where `keep`, a bool array of the shape of `values`, is False."""
        total = np.concatenate([[0], np.cumsum(keep, dtype=np.int64)])
        return Ragged(self.values[keep], total[self.splits])

    def lay(self, target: np.ndarray, indices: np.ndarray, rows: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Copies some rows into a table.

        Args:
            target: The table to write to, [rows, width].
            indices: The indices of the rows to copy.
            rows: The row of `target` that each of them goes to.
            starts: The column of `target` where each of them begins.

        Returns:
            The flat indices in `target` of all values written.
        """
        lengths = self.lengths[indices]
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        places = np.repeat(rows * target.shape[1] + starts, lengths) + within
        target.reshape(-1)[places] = self.values[np.repeat(self.splits[indices], lengths) + within]
        return places


@dataclasses.dataclass(frozen=True)
class Examples:
    """A list of examples without padding.

    Args:
        columns: The values of each feature by name: token ids, type ids, and, if known, labels and masks.
        numbers: The 0-based number of each example's record in its file, int64 [N].
        files: The files in order, each as (index of its first example, name).
    """

    columns: dict[str, Ragged]
    numbers: np.ndarray
    files: Sequence[tuple[int, str]]

    def __len__(self) -> int:
        return len(self.numbers)

    def name(self, index: int) -> str:
        """Returns the file and record number of an example, such as "examples-00000.tfrecord.gz#12", 0-based."""
        file = next(file for first, file in reversed(self.files) if first <= index)
        return f"{file}#{self.numbers[index]}"

    @property
    def lengths(self) -> np.ndarray:
        """The number of tokens in each example."""
        return self.columns[features.INPUT_WORD_IDS.name].lengths

    @property
    def predictions(self) -> np.ndarray:
        """The number of predictions in each example."""
        return self.columns[features.MASKED_LM_POSITIONS.name].lengths

    @classmethod
    def join(cls, parts: Sequence[Examples]) -> Examples:
        """Returns the examples of all parts, concatenated. All parts must have the same features."""
        columns = {name: Ragged.join([part.columns[name] for part in parts]) for name in parts[0].columns}
        begins = np.cumsum([0, *map(len, parts)]).tolist()
        files = [
            (begin + first, file) for begin, part in zip(begins, parts, strict=False) for first, file in part.files
        ]
        return cls(columns, np.concatenate([part.numbers for part in parts]), files)

    def masked(self, masker: Masker, *, pad_id: int, seed: Sequence[int]) -> Examples:
        """Returns masked copies of the examples. The masks depend only on the examples and the seed.

        Args:
            masker: Chooses and replaces the tokens.
            pad_id: The id of [PAD].
            seed: Seeds the masks; several integers are combined.
        """
        ids = self.columns[features.INPUT_WORD_IDS.name]
        continuations = self.columns.get(features.WORD_CONTINUATIONS.name)
        parts: dict[str, list[np.ndarray]] = {name: [] for name in (features.INPUT_WORD_IDS.name, *_MASKING)}
        counts = []
        for block, first in enumerate(range(0, len(self), _MASKED)):
            indices = np.arange(first, min(first + _MASKED, len(self)))
            padded = np.full((len(indices), int(ids.lengths[indices].max())), pad_id, np.int32)
            starts = np.zeros(len(indices), np.int64)
            places = ids.lay(padded, indices, np.arange(len(indices)), starts)
            marks: dict[str, np.ndarray] = {}
            if continuations is not None:
                marks["word_continuations"] = np.zeros(padded.shape, bool)
                continuations.lay(marks["word_continuations"], indices, np.arange(len(indices)), starts)
            outcome = dataclasses.asdict(masker(padded, np.random.default_rng([*seed, block]), **marks))
            used = outcome[features.MASKED_LM_WEIGHTS.name] > 0
            counts.append(used.sum(1))
            parts[features.INPUT_WORD_IDS.name].append(outcome[features.INPUT_WORD_IDS.name].reshape(-1)[places])
            for name in _MASKING:
                parts[name].append(outcome[name][used])
        columns = {name: np.concatenate(arrays) for name, arrays in parts.items()}
        masks = {name: Ragged.of(columns[name], np.concatenate(counts)) for name in _MASKING}
        tokens = {features.INPUT_WORD_IDS.name: Ragged(columns[features.INPUT_WORD_IDS.name], ids.splits)}
        return dataclasses.replace(self, columns={**self.columns, **tokens, **masks})
