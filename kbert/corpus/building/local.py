"""Builds the shards of a corpus in processes of this machine."""

from __future__ import annotations

import contextlib
import errno
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from kbert.corpus.building import shards
from kbert.corpus.building.chunks import BuildSettings, Chunk
from kbert.corpus.building.journal import FinishedShard, Journal
from kbert.corpus.building.workers import build_chunks
from kbert.errors import DataError
from kbert.runtime.interrupts import raised_signals
from kbert.sources.document import Document
from kbert.text.vocabulary import Vocabulary


def build_shards(
    chunks: Iterable[list[Document]],
    folder: Path,
    journal: Journal,
    finished: Sequence[FinishedShard],
    *,
    vocabulary: Vocabulary,
    settings: BuildSettings,
    words: Sequence[str],
    workers: int,
    progress: Callable[[int], None] | None,
) -> list[FinishedShard]:
    """Builds the shards that are not finished yet, and returns all shards.

    Args:
        chunks: All chunks of documents, in the order of the text.
        folder: The output folder.
        journal: The journal, to which each shard is added when it is on disk.
        finished: The shards that an interrupted build has finished.
        vocabulary: The vocabulary to tokenize with.
        settings: All settings that the records depend on.
        words: The word list for whole-word masking.
        workers: The number of processes.
        progress: A function that is called with the number of bytes of text done.

    Raises:
        DataError: The disk is full.
        Interrupted: The process received SIGINT or SIGTERM.
    """
    found = list(finished)
    rest = itertools.islice(enumerate(chunks), sum(shard.chunks for shard in finished), None)
    with (
        raised_signals("; add --resume to the same command to continue"),
        contextlib.closing(build_chunks(rest, vocabulary, settings, words, workers)) as results,
    ):
        try:
            for shard in _write_shards(folder, results, found, settings, progress):
                journal.add(shard)
                found.append(shard)
        except OSError as problem:
            if problem.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            where = "" if settings.source.deduplicate == "none" else ", or in TMPDIR,"
            raise DataError(
                f"the disk is full; {len(found)} finished shards are kept. Free some space{where} and add --resume to "
                "the same command",
                folder,
            ) from None
    return found


def _write_shards(
    folder: Path,
    results: Iterator[Chunk],
    finished: Sequence[FinishedShard],
    settings: BuildSettings,
    progress: Callable[[int], None] | None,
) -> Iterator[FinishedShard]:
    """Writes chunks to shards of about SHARD_EXAMPLES examples; yields each shard when it is on disk."""
    size = sum(shard.counts["bytes"] for shard in finished)

    def chunks_of_shard(chunk: Chunk | None) -> Iterator[Chunk]:
        nonlocal size
        examples = 0
        while chunk is not None:
            yield chunk
            size += chunk.counts["bytes"]
            examples += chunk.counts["examples"]
            if progress:
                progress(size)
            chunk = next(results, None) if examples < shards.SHARD_EXAMPLES else None

    for number in itertools.count(len(finished)):
        chunk = next(results, None)
        if chunk is None:
            return
        yield shards.write_shard(folder, number, chunks_of_shard(chunk), settings)
