"""Builds a corpus as an Apache Beam pipeline (extra `beam`), with the same output as a build on one machine.

The machine that starts the job reads the text once, and writes a plan: a file with the places of the documents of each
chunk. Workers read the chunks from the text files themselves, build them, and join them to shards:

    plan → the documents of each chunk → records of each chunk → shards

In uncompressed files of lines, workers start reading where a chunk begins. Other parts (compressed files, CSV, Parquet,
datasets by name) can only be read from the beginning: one worker reads each such part, and passes the documents on to
the workers that build. All workers must see the inputs and the output folder under the same paths as the machine that
starts the job.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

from kbert import files
from kbert.beam.pipeline import import_beam, run_pipeline
from kbert.corpus.building.chunks import BuildSettings, Chunk, ChunkBuilder
from kbert.corpus.building.journal import FinishedShard
from kbert.corpus.building.plan import ChunkPlan, from_json, to_json
from kbert.corpus.building.shards import shard_numbers, write_shard
from kbert.corpus.records.manifest import Shard
from kbert.errors import KbertError
from kbert.sources.document import Document
from kbert.sources.places import DocumentRange
from kbert.sources.source import Source
from kbert.text.vocabulary import Vocabulary

_PLAN, _SHARDS = "plan.jsonl", "shards.json"
_PLANS_AT_ONCE = 100
"""The number of chunks per initial element of the pipeline, which refers to lines of the plan. So the job description
stays small even for a large corpus."""

Numbered = tuple[int, Chunk]


@dataclasses.dataclass(frozen=True)
class Job:
    """The description of a build that is sent to every worker.

    Args:
        source: The source of the documents.
        vocabulary: The vocabulary to tokenize with.
        settings: All settings that the records depend on.
        words: The word list for whole-word masking.
        folder: The output folder, which contains the plan.
    """

    source: Source
    vocabulary: Vocabulary
    settings: BuildSettings
    words: Sequence[str]
    folder: Path

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "builder"}

    @functools.cached_property
    def builder(self) -> ChunkBuilder:
        """The builder, created once per process, so that its cache of words is kept between chunks."""
        return ChunkBuilder(self.vocabulary, self.settings, self.words)

    def plans(self, lines: tuple[int, int, int]) -> Iterator[tuple[int, ChunkPlan]]:
        """Yields (number, plan) of some chunks.

        Args:
            lines: The lines of the plan file to read: (number of the first chunk, its byte offset, number of chunks).
        """
        number, offset, count = lines
        with open(self.folder / _PLAN, "rb") as handle:
            handle.seek(offset)
            for index, line in enumerate(itertools.islice(handle, count), start=number):
                yield index, from_json(line)

    def seekable_ranges(self, lines: tuple[int, int, int]) -> Iterator[tuple[int, tuple[int, DocumentRange]]]:
        """Yields (chunk, (index in the chunk, range)) for the ranges that the worker that builds the chunk reads."""
        for number, plan in self.plans(lines):
            for place, found in enumerate(plan):
                if found.start:
                    yield number, (place, found)

    def streamed_documents(self, part: int) -> Iterator[tuple[int, tuple[int, list[Document]]]]:
        """Yields (chunk, (index in the chunk, documents)) of a part that must be read from its beginning."""
        with open(self.folder / _PLAN, "rb") as handle:
            wanted = [
                ((number, place), found)
                for number, line in enumerate(handle)
                for place, found in enumerate(from_json(line))
                if found.part == part
            ]
        ranges = [found for _, found in wanted]
        for ((number, place), _), documents in zip(wanted, self.source.read_ranges(ranges), strict=True):
            yield number, (place, documents)

    def build(self, chunk: tuple[int, Iterable[tuple[int, DocumentRange | list[Document]]]]) -> Numbered:
        """Builds a chunk from its ranges and documents; returns (number, records)."""
        number, pieces = chunk
        documents: list[Document] = []
        for _, piece in sorted(pieces, key=itemgetter(0)):
            documents += next(self.source.read_ranges([piece])) if isinstance(piece, DocumentRange) else piece
        return number, self.builder(number, documents)

    def write(self, shard: tuple[int, Iterable[Numbered]]) -> dict[str, Any]:
        """Writes the chunks of a shard; returns the fields of its `FinishedShard`."""
        number, chunks = shard
        ordered = (chunk for _, chunk in sorted(chunks, key=itemgetter(0)))
        return dataclasses.asdict(write_shard(self.folder, number, ordered, self.settings))

    def finish(self, shards: Sequence[dict[str, Any]]) -> None:
        """Writes the list of shards to a file, which is how the machine that started the job gets the results."""
        files.write_json(self.folder / _SHARDS, sorted(shards, key=lambda shard: str(shard["shard"]["file"])))


def run_job(job: Job, plans: Iterable[ChunkPlan], runner: str, options: Sequence[str]) -> list[FinishedShard]:
    """Builds the shards of a corpus, and returns them in order.

    Args:
        job: The build.
        plans: The plan of each chunk, in order.
        runner: The Beam runner, one of RUNNERS.
        options: The options for Beam.

    Raises:
        KbertError: The job failed.
    """
    batches, streamed = _write_plans(job, plans)
    run_pipeline(runner, options, lambda pipeline: _add_steps(pipeline, job, batches, streamed))
    return _read_outcome(job, runner)


def _read_outcome(job: Job, runner: str) -> list[FinishedShard]:
    path = job.folder / _SHARDS
    found = files.read_json(path, lambda problem: KbertError(f"{runner} ended without an outcome: {problem}"))
    path.unlink()
    (job.folder / _PLAN).unlink()
    return [FinishedShard(Shard(**shard["shard"]), shard["chunks"], shard["counts"]) for shard in found]


def _write_plans(job: Job, plans: Iterable[ChunkPlan]) -> tuple[list[tuple[int, int, int]], list[int]]:
    """Writes the plan; returns its lines in batches (see `Job.plans`), and the parts to read from the beginning."""
    batches: list[tuple[int, int, int]] = []
    streamed: set[int] = set()
    with files.atomic_file(job.folder / _PLAN) as handle:
        for number, plan in enumerate(plans):
            if number % _PLANS_AT_ONCE == 0:
                batches.append((number, handle.tell(), _PLANS_AT_ONCE))
            handle.write(to_json(plan).encode() + b"\n")
            streamed.update(found.part for found in plan if not found.start)
    return batches, sorted(streamed)


def _add_steps(pipeline: Any, job: Job, batches: Sequence[tuple[int, int, int]], streamed: Sequence[int]) -> None:
    beam = import_beam()
    pieces: list[Any] = [
        pipeline
        | "Lines of the plan" >> beam.Create(batches)
        | "Spread the lines" >> beam.Reshuffle()
        | "Ranges of text" >> beam.FlatMap(job.seekable_ranges)
    ]
    if streamed:
        pieces.append(
            pipeline
            | "Parts to stream" >> beam.Create(streamed)
            | "Spread the parts" >> beam.Reshuffle()
            | "Documents" >> beam.FlatMap(job.streamed_documents)
        )
    chunks = (
        pieces
        | "All pieces" >> beam.Flatten()
        | "Pieces of each chunk" >> beam.GroupByKey()
        | "Build" >> beam.Map(job.build)
        # Two steps read the chunks; without Reshuffle, some runners build them twice.
        | "Keep the chunks" >> beam.Reshuffle()
    )
    sizes = chunks | "Examples of each chunk" >> beam.Map(_size) | "All sizes" >> beam.combiners.ToList()
    shards = sizes | "Shard of each chunk" >> beam.Map(_shards_of)
    _ = (
        chunks
        | "To the shards" >> beam.Map(_with_shard, beam.pvalue.AsSingleton(shards))
        | "Chunks of each shard" >> beam.GroupByKey()
        | "Write" >> beam.Map(job.write)
        | "All shards" >> beam.combiners.ToList()
        | "Finish" >> beam.Map(job.finish)
    )


def _size(chunk: Numbered) -> tuple[int, int]:
    return chunk[0], chunk[1].counts["examples"]


def _shards_of(sizes: Iterable[tuple[int, int]]) -> list[int]:
    return shard_numbers(examples for _, examples in sorted(sizes))


def _with_shard(chunk: Numbered, shards: Sequence[int]) -> tuple[int, Numbered]:
    return shards[chunk[0]], chunk
