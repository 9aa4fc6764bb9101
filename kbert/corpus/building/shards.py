"""Shards: files of the chunks that follow each other."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from kbert import files
from kbert.corpus.building.chunks import BuildSettings, Chunk
from kbert.corpus.building.journal import FinishedShard
from kbert.corpus.records.manifest import Shard, write_lengths

SHARD_EXAMPLES = 16_384
"""A shard ends with the chunk that brings it to so many examples."""


def write_shard(folder: Path, number: int, chunks: Iterable[Chunk], settings: BuildSettings) -> FinishedShard:
    """Joins chunks to one file, which is on disk as a whole or not at all."""
    name = f"examples-{number:05d}{'.tfrecord.gz' if settings.compressed else '.tfrecord'}"
    digest = hashlib.sha256()
    counts: Counter[str] = Counter()
    lengths: Counter[int] = Counter()
    joined = 0
    with files.atomic_file(folder / name) as handle:
        for chunk in chunks:
            handle.write(chunk.data)
            digest.update(chunk.data)
            counts.update(chunk.counts)
            lengths.update(chunk.lengths)
            joined += 1
    return FinishedShard(
        Shard(name, counts["examples"], digest.hexdigest(), write_lengths(lengths)), joined, dict(counts)
    )


def shard_numbers(examples: Iterable[int]) -> list[int]:
    """The shard that each chunk is of, from the number of examples of each."""
    numbers = []
    number, held = 0, 0
    for count in examples:
        numbers.append(number)
        held += count
        if held >= SHARD_EXAMPLES:
            number, held = number + 1, 0
    return numbers
