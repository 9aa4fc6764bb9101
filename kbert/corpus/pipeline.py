"""Records to batches: the batch of step k is a pure function of the records, the seed and k."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from kbert import features
from kbert.corpus import manifest as manifest_
from kbert.corpus import records
from kbert.corpus.manifest import Manifest, Shard
from kbert.corpus.masking import Masker, MaskingSettings
from kbert.errors import RecordError, UsageError
from kbert.files import PathLike
from kbert.text.vocabulary import Vocabulary

_POOL_SHARDS = 8
"""Shards that are held and shuffled together: some 130,000 examples, 60 MB at length 128."""


@dataclasses.dataclass(frozen=True)
class _Pool:
    """The examples of some shards: each feature's values joined, and where each example's begin."""

    values: dict[str, np.ndarray]
    splits: dict[str, np.ndarray]

    def rows(self, name: str, indices: np.ndarray, width: int, padding: float = 0) -> np.ndarray:
        """The values of some examples, [len(indices), width], padded."""
        starts, ends = self.splits[name][indices], self.splits[name][indices + 1]
        columns = np.arange(width)
        places = starts[:, None] + columns
        inside = places < ends[:, None]
        values = self.values[name]
        return np.where(inside, values[np.minimum(places, len(values) - 1)], values.dtype.type(padding))


class PretrainingBatches:
    """Batches of a corpus folder, in an order that depends on the seed alone.

    In each epoch the shards are permuted, and the examples of each group of shards are permuted among
    themselves; epochs follow each other without a gap. The chunks of a corpus are shuffled when it is built.

    Args:
        folder: A folder that `kbert corpus build` wrote.
        batch_size: Examples a batch, over all replicas.
        seed: Of the order, and of dynamic masks.

    Raises:
        RecordError: The folder is not a finished corpus, or a shard is missing.
        UsageError: The corpus has fewer examples than a batch.
    """

    def __init__(self, folder: PathLike, *, batch_size: int, seed: int = 0) -> None:
        self.folder = Path(folder)
        self.manifest = Manifest.load(folder)
        self.vocabulary = Vocabulary.from_file(self.folder / manifest_.VOCABULARY_FILE)
        if self.vocabulary.sha256() != self.manifest.vocabulary_sha256:
            raise RecordError(
                "expected the vocabulary that the corpus was built with. The file has changed; build the corpus again",
                self.folder / manifest_.VOCABULARY_FILE,
            )
        self.batch_size = batch_size
        self.seed = seed
        if self.manifest.examples < batch_size:
            raise UsageError(
                f"batch_size must be at most the corpus's {self.manifest.examples} examples. Received: {batch_size}"
            )
        for shard in self.manifest.shards:
            if not (self.folder / shard.file).is_file():
                raise RecordError("expected a shard that the manifest names. It is missing", self.folder / shard.file)
        masking = self.manifest.settings["masking"]
        self._masker = None
        if self.manifest.masking == "dynamic":
            self._masker = Masker(self.vocabulary, MaskingSettings(**masking))
        self._loaded: tuple[tuple[str, ...], _Pool] | None = None

    @property
    def element_spec(self) -> dict[str, tf.TensorSpec]:
        """What a batch looks like."""
        sizes = {"S": self.manifest.sequence_length, "P": self.manifest.max_predictions}
        return {
            feature.name: tf.TensorSpec(
                [self.batch_size, *(sizes[letter] for letter in feature.dimensions)], feature.dtype
            )
            for feature in features.PRETRAINING_FEATURES
        }

    def batches(self, start: int = 0) -> Iterator[dict[str, np.ndarray]]:
        """Yields the batches of steps `start`, `start` + 1, ... without end."""
        step = start
        held: list[tuple[_Pool, np.ndarray]] = []
        for pool, order in self._pools(start * self.batch_size):
            held.append((pool, order))
            while sum(len(indices) for _, indices in held) >= self.batch_size:
                parts, wanted = [], self.batch_size
                while wanted:
                    pool_, indices = held[0]
                    parts.append((pool_, indices[:wanted]))
                    wanted -= len(parts[-1][1])
                    if len(indices) > len(parts[-1][1]):
                        held[0] = (pool_, indices[len(parts[-1][1]) :])
                    else:
                        held.pop(0)
                yield self._batch(parts, step)
                step += 1

    def _pools(self, skipped: int) -> Iterator[tuple[_Pool, np.ndarray]]:
        """Yields groups of shards with the order of their examples, `skipped` examples left out."""
        epoch, skipped = divmod(skipped, self.manifest.examples)
        while True:
            order = np.random.default_rng([self.seed, epoch]).permutation(len(self.manifest.shards))
            for group, first in enumerate(range(0, len(order), _POOL_SHARDS)):
                shards = [self.manifest.shards[index] for index in order[first : first + _POOL_SHARDS]]
                size = sum(shard.examples for shard in shards)
                if skipped >= size:
                    skipped -= size
                    continue
                rng = np.random.default_rng([self.seed, epoch, group])
                yield self._load(shards), rng.permutation(size)[skipped:]
                skipped = 0
            epoch += 1

    def _load(self, shards: list[Shard]) -> _Pool:
        key = tuple(shard.file for shard in shards)
        if self._loaded is None or self._loaded[0] != key:
            self._loaded = None  # two pools at once would double the memory
            wanted: tuple[features.Feature, ...] = features.PRETRAINING_FEATURES
            if self._masker is not None:
                wanted = (features.INPUT_WORD_IDS, features.INPUT_TYPE_IDS, features.NEXT_SENTENCE_LABELS)
                if self.manifest.settings.get("word_list"):
                    wanted = (*wanted, features.WORD_CONTINUATIONS)
            self._loaded = key, _read_pool(self.folder, shards, wanted)
        return self._loaded[1]

    def _batch(self, parts: list[tuple[_Pool, np.ndarray]], step: int) -> dict[str, np.ndarray]:
        manifest = self.manifest

        def rows(feature: features.Feature, width: int, padding: float = 0) -> np.ndarray:
            return np.concatenate([pool.rows(feature.name, indices, width, padding) for pool, indices in parts])

        pad = self.vocabulary.pad_id
        ids = rows(features.INPUT_WORD_IDS, manifest.sequence_length, pad)
        batch = {
            features.INPUT_WORD_IDS.name: ids,
            features.INPUT_MASK.name: (ids != pad).astype(np.int32),
            features.INPUT_TYPE_IDS.name: rows(features.INPUT_TYPE_IDS, manifest.sequence_length),
            features.NEXT_SENTENCE_LABELS.name: rows(features.NEXT_SENTENCE_LABELS, 1)[:, 0],
        }
        if self._masker is None:
            batch[features.INPUT_MASK.name] = rows(features.INPUT_MASK, manifest.sequence_length)
            for feature in features.MASKING_FEATURES:
                batch[feature.name] = rows(feature, manifest.max_predictions)
        else:
            marks = None
            if manifest.settings.get("word_list"):
                marks = rows(features.WORD_CONTINUATIONS, manifest.sequence_length) > 0
            rng = np.random.Generator(np.random.Philox(key=[self.seed, step]))
            masked = self._masker(ids, rng, word_continuations=marks)
            batch |= dataclasses.asdict(masked)
        return batch


def _read_pool(folder: Path, shards: list[Shard], wanted: Sequence[features.Feature]) -> _Pool:
    """Reads all examples of some shards.

    Raises:
        RecordError: A shard is damaged, or holds another number of examples than the manifest says.
    """
    parser = {
        feature.name: tf.io.RaggedFeature(
            tf.int64 if feature.dtype == "int32" else tf.float32, row_splits_dtype=tf.int64
        )
        for feature in wanted
    }
    parts: dict[str, list[np.ndarray]] = {feature.name: [] for feature in wanted}
    lengths: dict[str, list[np.ndarray]] = {feature.name: [] for feature in wanted}
    for shard in shards:
        path = folder / shard.file
        examples = 0
        compression = records.COMPRESSION if path.suffix == ".gz" else ""
        dataset = tf.data.TFRecordDataset(str(path), compression, buffer_size=1 << 20)
        dataset = dataset.batch(4096).map(lambda serialized: tf.io.parse_example(serialized, parser))
        try:
            for parsed in dataset:
                for feature in wanted:
                    ragged = parsed[feature.name]
                    parts[feature.name].append(ragged.flat_values.numpy().astype(feature.dtype))
                    lengths[feature.name].append(ragged.row_lengths().numpy())
                examples += len(lengths[wanted[0].name][-1])
        except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as problem:
            message = str(problem.message).splitlines()[0]
            raise RecordError(
                f"the shard is damaged after {examples} of {shard.examples} examples ({message}); "
                "build the corpus again",
                path,
            ) from None
        if examples != shard.examples:
            raise RecordError(
                f"expected {shard.examples} examples. Received {examples}: the shard is cut short or not of this "
                "corpus; build it again",
                path,
            )
    return _Pool(
        {name: np.concatenate(arrays) for name, arrays in parts.items()},
        {name: np.concatenate([[0], np.cumsum(np.concatenate(arrays))]) for name, arrays in lengths.items()},
    )
