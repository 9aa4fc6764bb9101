"""Writes shards, files of consecutive chunks."""

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
"""The number of examples at which a shard ends, after the chunk that reaches it."""


def write_shard(folder: Path, number: int, chunks: Iterable[Chunk], settings: BuildSettings) -> FinishedShard:
    """Writes chunks to one file atomically: either the whole file is on disk or nothing.

    Args:
        folder: The output folder.
        number: The 0-based number of the shard.
        chunks: The chunks of the shard, in order.
        settings: The settings of the build.
    """
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
    """Returns the shard number of each chunk, given the number of examples in each chunk."""
    numbers = []
    number, held = 0, 0
    for count in examples:
        numbers.append(number)
        held += count
        if held >= SHARD_EXAMPLES:
            number, held = number + 1, 0
    return numbers
