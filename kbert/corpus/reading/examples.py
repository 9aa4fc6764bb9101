"""Parses pretraining records into arrays, and lays examples of different lengths into the rows of a batch.

Records can come from kbert, the original release (create_pretraining_data.py) or the Model Garden. They differ in the
names of two features and in padding; this module removes the padding.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import re
from collections.abc import Iterable, Sequence

import numpy as np
import tensorflow as tf

from kbert import features
from kbert.corpus.masking import Masker
from kbert.corpus.records.reader import Record
from kbert.errors import RecordError
from kbert.files import PathLike

_OTHER_NAMES = {features.INPUT_WORD_IDS.name: "input_ids", features.INPUT_TYPE_IDS.name: "segment_ids"}
"""The names of two features in records of the original release."""
_STORED = {
    features.INPUT_WORD_IDS.name: np.int32,
    features.INPUT_TYPE_IDS.name: np.uint8,
    features.NEXT_SENTENCE_LABELS.name: np.int32,
    features.WORD_CONTINUATIONS.name: np.uint8,
    features.MASKED_LM_POSITIONS.name: np.int32,
    features.MASKED_LM_IDS.name: np.int32,
    features.MASKED_LM_WEIGHTS.name: np.float32,
}
_MASKING = tuple(feature.name for feature in features.MASKING_FEATURES)
_PARSED = 4096
_MASKED = 1024
"""The numbers of examples that are parsed and masked at once."""


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
        for name in _MASKING:
            predictions = examples.columns[name].lay(batch[name], indices, rows, first_predictions)
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


# === Parsing ===


def parse_records(records: Iterable[Record], path: PathLike, *, vocabulary_size: int) -> Examples:
    """Parses serialized examples in blocks.

    Args:
        records: The records of one file.
        path: The file that error messages name.
        vocabulary_size: The size of the vocabulary; all ids must be below it.

    Raises:
        RecordError: A record is not a valid pretraining example, or the records have different features.
    """
    stream = iter(records)
    parts: list[dict[str, Ragged]] = []
    numbers: list[int] = []
    while block := list(itertools.islice(stream, _PARSED)):
        try:
            parsed = _parse([record.data for record in block])
        except tf.errors.InvalidArgumentError:
            _blame(block, path)
            raise
        parts.append(_checked(parsed, block, path, vocabulary_size))
        numbers += [record.number for record in block]
        if parts[-1].keys() != parts[0].keys():
            raise _problem(block[0], path, "earlier records have other features: " + ", ".join(sorted(parts[0])))
    columns = {name: Ragged.join([part[name] for part in parts]) for name in (parts[0] if parts else ())}
    return Examples(columns, np.array(numbers, np.int64), [(0, os.path.basename(path))])


@dataclasses.dataclass(frozen=True)
class Survey:
    """The result of checking records before training.

    Args:
        usable: The records that a model can be trained on.
        problems: One error for each unusable record.
        padded: The lengths that the usable records are padded to, each with a record of that length. Empty if the
            records have no padding.
        predictions: The largest number of predictions that a usable record is padded to; 0 if they have no masks.
    """

    usable: list[Record]
    problems: list[RecordError]
    padded: dict[int, Record]
    predictions: int


def survey_records(records: Sequence[Record], path: PathLike, *, vocabulary_size: int) -> Survey:
    """Checks records of other programs: finds the unusable ones, and the padded sizes of the usable ones.

    Args:
        records: Records of one file.
        path: The file that error messages name.
        vocabulary_size: The size of the vocabulary; all ids must be below it.

    Raises:
        RecordError: The usable records have different features.
    """
    usable, problems = list(records), []
    try:
        parse_records(usable, path, vocabulary_size=vocabulary_size)
    except RecordError:
        usable = []
        for record in records:
            try:
                parse_records([record], path, vocabulary_size=vocabulary_size)
            except RecordError as problem:
                problems.append(problem)
            else:
                usable.append(record)
        parse_records(usable, path, vocabulary_size=vocabulary_size)
    if not usable:
        return Survey([], problems, {}, 0)
    parsed = _parse([record.data for record in usable])
    mask, positions = (parsed.get(f.name) for f in (features.INPUT_MASK, features.MASKED_LM_POSITIONS))
    lengths = [] if mask is None else mask.lengths.tolist()
    padded: dict[int, Record] = {}
    for length, record in zip(lengths, usable, strict=False):
        padded.setdefault(length, record)
    return Survey(usable, problems, padded, 0 if positions is None else int(positions.lengths.max()))


def _parse(serialized: list[bytes]) -> dict[str, Ragged]:
    """Returns the known features by kbert's names, without those that no record has."""
    names = {*_STORED, *_OTHER_NAMES.values(), features.INPUT_MASK.name}
    spec = {
        name: tf.io.RaggedFeature(
            tf.float32 if name == features.MASKED_LM_WEIGHTS.name else tf.int64, row_splits_dtype=tf.int64
        )
        for name in names
    }
    parsed = {
        name: Ragged(ragged.flat_values.numpy(), ragged.row_splits.numpy())
        for name, ragged in tf.io.parse_example(tf.constant(serialized), spec).items()
    }
    for name, other in _OTHER_NAMES.items():
        if not len(parsed[name].values):
            parsed[name] = parsed[other]
        del parsed[other]
    return {name: ragged for name, ragged in parsed.items() if len(ragged.values)}


def _checked(
    parsed: dict[str, Ragged], records: Sequence[Record], path: PathLike, vocabulary_size: int
) -> dict[str, Ragged]:
    """Checks parsed features, removes padding, and converts the values to the dtypes of `_STORED`.

    Raises:
        RecordError: A record is not usable for training.
    """

    def check(wrong: np.ndarray, problem: str) -> None:
        if wrong.any():
            raise _problem(records[int(wrong.argmax())], path, problem)

    empty = Ragged.of(np.zeros(0, np.int64), np.zeros(len(records), np.int64))
    ids = parsed.get(features.INPUT_WORD_IDS.name, empty)
    types = parsed.get(features.INPUT_TYPE_IDS.name, empty)
    check(
        ids.lengths == 0,
        f"it has neither {features.INPUT_WORD_IDS.name} nor {_OTHER_NAMES[features.INPUT_WORD_IDS.name]}",
    )
    check(types.lengths != ids.lengths, "it has more or fewer type ids than token ids")
    mask = parsed.pop(features.INPUT_MASK.name, None)
    if mask is not None:
        check(mask.lengths != ids.lengths, f"its {features.INPUT_MASK.name} is longer or shorter than its token ids")
        parsed = {**parsed, features.INPUT_WORD_IDS.name: ids.kept(mask.values != 0)}
        parsed[features.INPUT_TYPE_IDS.name] = types.kept(mask.values != 0)
        ids = parsed[features.INPUT_WORD_IDS.name]
        check(ids.lengths == 0, f"its {features.INPUT_MASK.name} has no 1")
    owner = np.repeat(np.arange(len(records)), ids.lengths)
    wrong = np.zeros(len(records), bool)
    wrong[owner[(ids.values < 0) | (ids.values >= vocabulary_size)]] = True
    check(wrong, f"it has token ids beyond the vocabulary's {vocabulary_size} entries: another vocabulary is needed")
    positions = parsed.get(features.MASKED_LM_POSITIONS.name)
    if positions is not None:
        for name in _MASKING:
            check(parsed.get(name, empty).lengths != positions.lengths, f"it has more or fewer {name} than positions")
        keep = parsed[features.MASKED_LM_WEIGHTS.name].values != 0
        parsed |= {name: parsed[name].kept(keep) for name in _MASKING}
        positions = parsed[features.MASKED_LM_POSITIONS.name]
        owner = np.repeat(np.arange(len(records)), positions.lengths)
        beyond = (positions.values < 0) | (positions.values >= ids.lengths[owner])
        targets = parsed[features.MASKED_LM_IDS.name].values
        wrong[owner[beyond | (targets < 0) | (targets >= vocabulary_size)]] = True
        check(wrong, "it has invalid masked positions or ids")
    continuations = parsed.get(features.WORD_CONTINUATIONS.name)
    if continuations is not None:
        check(continuations.lengths != ids.lengths, "it has more or fewer word continuation marks than token ids")
    labels = parsed.get(features.NEXT_SENTENCE_LABELS.name)
    if labels is not None:
        check(labels.lengths != 1, f"it must have exactly one value of {features.NEXT_SENTENCE_LABELS.name}")
    return {name: Ragged(ragged.values.astype(_STORED[name]), ragged.splits) for name, ragged in parsed.items()}


def _blame(records: Iterable[Record], path: PathLike) -> None:
    """Raises a RecordError for the first record that TensorFlow fails to parse."""
    for record in records:
        try:
            _parse([record.data])
        except tf.errors.InvalidArgumentError as problem:
            reason = re.sub(r"^\{\{.*?\}\} |\[Op:\w+\]", "", str(problem.message).splitlines()[0])
            raise _problem(record, path, reason.strip()) from None


def _problem(record: Record, path: PathLike, problem: str) -> RecordError:
    return RecordError(
        f"expected a pretraining example in record {record.number + 1} at byte {record.offset}, but {problem}", path
    )
