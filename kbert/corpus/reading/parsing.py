"""Parses and checks pretraining records.

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
from kbert.corpus.reading.examples import Examples, Ragged
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
"""The number of records that are parsed at once."""


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
