"""Lays examples of different lengths into the rows of a batch."""

from __future__ import annotations

import dataclasses

import numpy as np

from kbert import features
from kbert.corpus.reading.examples import Examples
from kbert.errors import RecordError


@dataclasses.dataclass(frozen=True)
class Layout:
    """The shape of the rows of a batch.

    Args:
        length: The number of tokens per row, S.
        predictions: The maximum number of predictions per row, P.
        examples: The maximum number of examples per packed row, E. None means that rows are not packed and hold one
            example each.
        pad_id: The id of [PAD].
        labelled: Whether the examples have labels for next sentence prediction.
    """

    length: int
    predictions: int
    examples: int | None
    pad_id: int
    labelled: bool = True

    @property
    def specification(self) -> tuple[features.Feature, ...]:
        """The features that a batch has."""
        if self.examples is not None:
            return features.PACKED_PRETRAINING_FEATURES
        if self.labelled:
            return features.PRETRAINING_FEATURES
        return (*features.PRETRAINING_FEATURES, dataclasses.replace(features.NEXT_SENTENCE_WEIGHTS, dimensions=""))

    def shape(self, feature: features.Feature, rows: int) -> list[int]:
        """Returns the shape of a feature in a batch of `rows` rows."""
        sizes = {"S": self.length, "P": self.predictions, "E": self.examples or 1}
        return [rows, *(sizes[letter] for letter in feature.dimensions)]

    def batch(self, examples: Examples, places: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the features of a batch that holds masked examples.

        Args:
            examples: The masked examples to choose from.
            places: The indices of the examples in each row, int [rows, E], with -1 for no example; [rows, 1] if rows
                are not packed.

        Raises:
            RecordError: The examples of a row have too many tokens or predictions.
        """
        rows, slots = np.nonzero(places >= 0)
        indices = places[rows, slots]
        lengths = np.zeros(places.shape, np.int64)
        lengths[rows, slots] = examples.lengths[indices]
        counts = np.zeros(places.shape, np.int64)
        counts[rows, slots] = examples.predictions[indices]
        for what, sizes, room in (("tokens", lengths, self.length), ("predictions", counts, self.predictions)):
            if (sizes.sum(1) > room).any():
                row = int((sizes.sum(1) > room).argmax())
                where = ", ".join(examples.name(index) for index in places[row] if index >= 0)
                raise RecordError(f"expected at most {room} {what} in {where}. Received {sizes[row].sum()}")
        starts = (np.cumsum(lengths, axis=1) - lengths)[rows, slots]
        first_predictions = (np.cumsum(counts, axis=1) - counts)[rows, slots]

        named = {feature.name: feature for feature in self.specification}
        batch = {name: np.zeros(self.shape(feature, len(places)), feature.dtype) for name, feature in named.items()}
        ids = batch[features.INPUT_WORD_IDS.name]
        ids.fill(self.pad_id)
        tokens = examples.columns[features.INPUT_WORD_IDS.name].lay(ids, indices, rows, starts)
        batch[features.INPUT_MASK.name].reshape(-1)[tokens] = 1
        types = batch[features.INPUT_TYPE_IDS.name]
        examples.columns[features.INPUT_TYPE_IDS.name].lay(types, indices, rows, starts)
        for feature in features.MASKING_FEATURES:
            column = examples.columns[feature.name]
            predictions = column.lay(batch[feature.name], indices, rows, first_predictions)
        positions = batch[features.MASKED_LM_POSITIONS.name].reshape(-1)
        positions[predictions] += np.repeat(starts, counts[rows, slots]).astype(np.int32)
        if self.labelled:
            labels = examples.columns[features.NEXT_SENTENCE_LABELS.name].values
            batch[features.NEXT_SENTENCE_LABELS.name].reshape(places.shape)[rows, slots] = labels[indices]
        if self.examples is not None:
            repeated = lengths[rows, slots]
            batch[features.INPUT_POSITIONS.name].reshape(-1)[tokens] = tokens - np.repeat(
                rows * self.length + starts, repeated
            )
            batch[features.INPUT_EXAMPLE_IDS.name].reshape(-1)[tokens] = np.repeat(slots + 1, repeated)
            batch[features.NEXT_SENTENCE_POSITIONS.name][rows, slots] = starts
            batch[features.NEXT_SENTENCE_WEIGHTS.name][rows, slots] = float(self.labelled)
        return batch
