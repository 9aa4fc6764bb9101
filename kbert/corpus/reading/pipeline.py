"""Turns records into batches. The batch of step k is a pure function of the records, the seed and k."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import itertools
import math
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from kbert.corpus.masking import Masker, MaskingSettings
from kbert.corpus.reading.examples import Examples
from kbert.corpus.reading.layout import Layout
from kbert.corpus.reading.open_source import open_source
from kbert.corpus.reading.packing import PackingPlan, plan_packing
from kbert.corpus.reading.source import Lengths
from kbert.errors import RecordError, UsageError
from kbert.files import PathLike

_POOL_EXAMPLES = 4 * 16_384
"""The number of examples that are held and shuffled together, unless a single shard has more. This takes 50 MB at
length 128, twice, since the next examples are read and masked in the meantime."""


@dataclasses.dataclass(frozen=True)
class _Pool:
    """The masked examples of some parts, and the indices of the examples in each row: int [rows, E], -1 for none."""

    examples: Examples
    rows: np.ndarray


@dataclasses.dataclass(frozen=True)
class _Group:
    """The parts that are held and shuffled together: group `number` of epoch `epoch`."""

    epoch: int
    number: int
    parts: list[int]


class PretrainingBatches:
    """The batches of a corpus, in an order that depends only on the seed.

    Each epoch permutes the shards, and shuffles the rows within each group of shards. A batch can contain the end of
    one epoch and the beginning of the next. Dynamic masks depend on the seed, the epoch and the example. The examples
    of each chunk are already shuffled when a corpus is built.

    With `pack_to`, examples share rows (see kbert.corpus.reading.packing). Which examples share a row is drawn anew in
    each epoch.

    When damaged records are left out, the number of rows does not change: other examples of the same shards replace
    the lost ones; in packed rows, their places stay empty.

    Args:
        corpus: A folder that `kbert corpus build` wrote; or a folder, a file or a glob of TFRecord files (plain or
            gzip) that the original create_pretraining_data.py or the Model Garden wrote.
        batch_size: The number of rows per batch, over all replicas. A row is an example, or a packed row.
        seed: Seeds the order of examples and the dynamic masks.
        pack_to: The length in tokens of packed rows. None means one example per row.
        vocab: The vocabulary of records without a manifest.json: a vocab.txt, or a model folder with all its settings.
        cased: Whether the text of such records kept its case, if `vocab` is a vocab.txt.
        skip_corrupt: The maximum number of damaged records to leave out.

    Raises:
        RecordError: `corpus` is not a corpus; or a shard is missing, unexpected, changed or damaged.
        UsageError: The corpus has fewer rows than a batch, or `batch_size` or `pack_to` is too small.
    """

    def __init__(
        self,
        corpus: PathLike,
        *,
        batch_size: int,
        seed: int = 0,
        pack_to: int | None = None,
        vocab: PathLike | None = None,
        cased: bool = False,
        skip_corrupt: int = 0,
    ) -> None:
        if batch_size < 1:
            raise UsageError(f"batch_size must be at least 1. Received: batch_size={batch_size}")
        self.source = open_source(corpus, vocab=vocab, cased=cased, skip_corrupt=skip_corrupt)
        self.manifest = self.source.manifest
        self.tokenizer = self.source.tokenizer
        self.vocabulary = self.source.vocabulary
        self.batch_size = batch_size
        self.seed = seed
        self._masker = None
        self._masking = None
        if self.manifest.masking == "dynamic":
            self._masking = MaskingSettings(**self.manifest.settings["masking"])
            self._masker = Masker(self.vocabulary, self._masking)
        self.layout, self._plans = self._plan(pack_to)
        self._sizes = [plan.rows for plan in self._plans] or [part.examples for part in self.source.parts]
        if sum(self._sizes) < batch_size:
            rows = "rows of packed examples" if pack_to else "examples"
            raise UsageError(
                f"batch_size must be at most the corpus's {sum(self._sizes)} {rows}. Received: {batch_size}"
            )

    @property
    def element_spec(self) -> dict[str, tf.TensorSpec]:
        """The shape and dtype of each feature in a batch."""
        return {
            feature.name: tf.TensorSpec(self.layout.shape(feature, self.batch_size), feature.dtype)
            for feature in self.layout.specification
        }

    @property
    def labelled(self) -> bool:
        """Whether examples are pairs of texts with a label."""
        return self.layout.labelled

    @property
    def rows(self) -> int:
        """The number of rows per epoch."""
        return sum(self._sizes)

    @property
    def fill_rate(self) -> float:
        """The fraction of positions in packed rows that hold tokens, 0 to 1."""
        return sum(plan.tokens for plan in self._plans) / (self.rows * self.layout.length)

    @property
    def metrics(self) -> dict[str, float]:
        """The values to log with the training metrics: `fill_rate` if rows are packed, `skipped_records` if any are."""
        metrics: dict[str, float] = {"fill_rate": self.fill_rate} if self._plans else {}
        return metrics | ({"skipped_records": self.source.records_lost} if self.source.lost else {})

    @property
    def description(self) -> str:
        """The size of the corpus in words, for a model card."""
        manifest = self.manifest
        documents = f"{manifest.counts['documents']:,} documents, " if "documents" in manifest.counts else ""
        packed = f", packed into rows of {self.layout.length}" if self._plans else ""
        return f"{documents}{manifest.examples:,} examples of up to {manifest.sequence_length} tokens{packed}"

    def describe(self) -> list[str]:
        """Returns lines of text that tell the user how full packed rows are, and which records were left out."""
        lines = []
        if self._plans:
            lines.append(
                f"packing: {self.manifest.examples:,} examples in {self.rows:,} rows of {self.layout.length} tokens, "
                f"at most {self.layout.examples} in one; fill rate {self.fill_rate:.2%}"
            )
        lines += [f"left out: {lost:,} damaged records of {file}" for file, lost in self.source.lost.items()]
        return lines

    def batches(self, start: int = 0) -> Iterator[dict[str, np.ndarray]]:
        """Yields the batches of steps `start`, `start` + 1, ... without end."""
        for parts in self._draws(start):
            batches = [self.layout.batch(pool.examples, rows) for pool, rows in parts]
            yield {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}

    def example_names(self, step: int) -> list[str]:
        """Returns the file and record of each example in a step's batch, such as "examples-00000.tfrecord.gz#12"."""
        parts = next(self._draws(step))
        return [pool.examples.name(index) for pool, rows in parts for index in rows[rows >= 0].tolist()]

    def _plan(self, pack_to: int | None) -> tuple[Layout, list[PackingPlan]]:
        manifest = self.manifest
        pad_id, labelled = self.vocabulary.pad_id, self.source.labelled()
        if pack_to is None:
            return Layout(manifest.sequence_length, manifest.max_predictions, None, pad_id, labelled), []
        if pack_to < manifest.sequence_length:
            raise UsageError(
                f"pack_to must be at least the corpus's sequence_length={manifest.sequence_length}. Received: {pack_to}"
            )
        lengths = self.source.lengths()
        plans = [plan_packing(each.counts, pack_to) for each in lengths]
        predictions = max(
            plan.most_predictions(lambda tokens, each=each: self._most_predictions(tokens, each))  # type: ignore[misc]
            for plan, each in zip(plans, lengths, strict=True)
        )
        examples = max(plan.most_examples for plan in plans)
        return Layout(pack_to, predictions, examples, pad_id, labelled), plans

    def _most_predictions(self, tokens: int, lengths: Lengths) -> int:
        """Returns the maximum number of predictions in an example of `tokens` tokens."""
        if lengths.predictions is not None:
            return int(lengths.predictions[tokens])
        masking = self._masking or MaskingSettings(**self.manifest.settings["masking"])
        return min(masking.max_predictions, max(1, math.ceil(tokens * masking.probability)))

    def _draws(self, start: int) -> Iterator[list[tuple[_Pool, np.ndarray]]]:
        """Yields the parts of each step's batch: pools, and the rows to take from each."""
        held: list[tuple[_Pool, np.ndarray]] = []
        for drawn in self._pools(start * self.batch_size):
            held.append(drawn)
            while sum(len(rows) for _, rows in held) >= self.batch_size:
                parts, wanted = [], self.batch_size
                while wanted:
                    pool, rows = held.pop(0)
                    parts.append((pool, rows[:wanted]))
                    if len(rows) > wanted:
                        held.insert(0, (pool, rows[wanted:]))
                    wanted -= len(parts[-1][1])
                yield parts

    def _pools(self, skipped: int) -> Iterator[tuple[_Pool, np.ndarray]]:
        """Yields pools with their shuffled rows, after skipping `skipped` rows; a thread loads the next pool."""
        held: dict[int, Examples] = {}
        coming = None
        loader = concurrent.futures.ThreadPoolExecutor(1)
        try:
            for group, left_out in self._schedule(skipped):
                following = group, left_out, loader.submit(self._load, group, held)
                if coming is not None:
                    yield self._ordered(*coming)
                coming = following
        finally:
            loader.shutdown(wait=False, cancel_futures=True)

    def _ordered(
        self, group: _Group, left_out: int, loading: concurrent.futures.Future[_Pool]
    ) -> tuple[_Pool, np.ndarray]:
        pool = loading.result()
        rng = np.random.default_rng([self.seed, group.epoch, group.number])
        return pool, pool.rows[rng.permutation(len(pool.rows))[left_out:]]

    def _schedule(self, skipped: int) -> Iterator[tuple[_Group, int]]:
        """Yields groups of parts without end, each with the number of its rows to skip."""
        first, skipped = divmod(skipped, self.rows)
        for epoch in itertools.count(first):
            for group in self._groups(epoch):
                size = sum(self._sizes[part] for part in group.parts)
                if skipped < size:
                    yield group, skipped
                skipped = max(0, skipped - size)

    def _groups(self, epoch: int) -> Iterator[_Group]:
        """Yields the parts in the order of an epoch, in groups of about _POOL_EXAMPLES examples."""
        group: list[int] = []
        number = examples = 0
        for part in np.random.default_rng([self.seed, epoch]).permutation(len(self._sizes)).tolist():
            if group and examples + self.source.parts[part].examples > _POOL_EXAMPLES:
                yield _Group(epoch, number, group)
                group, number, examples = [], number + 1, 0
            group.append(part)
            examples += self.source.parts[part].examples
        yield _Group(epoch, number, group)

    def _load(self, group: _Group, held: dict[int, Examples]) -> _Pool:
        """Reads, masks and packs a group. `held` keeps the parts that were read for the group before."""
        for part in set(held) - set(group.parts):
            del held[part]
        rows, masked, first = [], [], 0
        for part in group.parts:
            if part not in held:
                held[part] = self.source.read(self.source.parts[part])
            examples = held[part]
            if not len(examples):
                rows.append(np.full((self._sizes[part], 1), -1))
                continue
            if self._masker is not None:
                seed = [self.seed, group.epoch, part]
                examples = examples.masked(self._masker, pad_id=self.vocabulary.pad_id, seed=seed)
            masked.append(examples)
            if self._plans:
                rng = np.random.default_rng([self.seed, group.epoch, part, 1])
                places = self._plans[part].assign(examples.lengths, rng)
            else:
                places = np.arange(self._sizes[part])[:, None]
                places[len(examples) :] = -1
            rows.append(np.where(places >= 0, places + first, -1))
            first += len(examples)
        if not masked:
            raise RecordError(
                "expected at least one intact record in " + ", ".join(self._file(part) for part in group.parts)
            )
        width = self.layout.examples or 1
        padded = [np.pad(places, ((0, 0), (0, width - places.shape[1])), constant_values=-1) for places in rows]
        joined = np.concatenate(padded)
        if not self._plans:
            lost = np.flatnonzero(joined[:, 0] < 0)
            joined[lost, 0] = np.arange(len(lost)) % first
        return _Pool(Examples.join(masked), joined)

    def _file(self, part: int) -> str:
        return self.source.parts[part].shard.file
