"""Sources of pretraining examples: what the shards of kbert and the records of other programs have in common."""

from __future__ import annotations

import abc
import concurrent.futures
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import ClassVar, TypeVar

import numpy as np

from kbert import features, files
from kbert.corpus.reading.examples import Examples
from kbert.corpus.reading.parsing import parse_records
from kbert.corpus.records.manifest import Manifest, Shard
from kbert.corpus.records.reader import Record, read_records
from kbert.errors import RecordError, UsageError
from kbert.text.tokenizer import Tokenizer

_THREADS = 4

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclasses.dataclass(frozen=True)
class Part:
    """Examples that are read together: a whole shard, or a range of records in a large file.

    Args:
        shard: The file.
        examples: The number of records. In a shard that kbert wrote, lost records are included.
        begin: The byte offset where the records begin.
        end: The byte offset where the records end; None means the end of the file.
        number: The 0-based number of the first record.
    """

    shard: Shard
    examples: int
    begin: int = 0
    end: int | None = None
    number: int = 0


@dataclasses.dataclass(frozen=True)
class Lengths:
    """The lengths of the examples of a part.

    Args:
        counts: The number of examples with n tokens, at index n.
        predictions: The maximum number of predictions in examples of n tokens, at index n. None means that the records
            are not masked yet.
    """

    counts: np.ndarray
    predictions: np.ndarray | None


class CorpusSource(abc.ABC):
    """Files of records, which are read in parts; `open_source` makes the object.

    Damaged records are left out only if the caller allows it, and then they are counted.

    Args:
        folder: The folder that the paths of shards are relative to.
        tokenizer: The tokenizer that made the ids of the records.
        skip_corrupt: The maximum number of damaged records to leave out.

    Raises:
        UsageError: `skip_corrupt` is negative.
    """

    is_own: ClassVar[bool]
    """Whether kbert wrote the records."""
    manifest: Manifest
    """The manifest of the corpus."""
    parts: list[Part]
    """The parts that are read, in order."""

    def __init__(self, folder: Path, tokenizer: Tokenizer, skip_corrupt: int) -> None:
        if skip_corrupt < 0:
            raise UsageError(f"skip_corrupt must be at least 0. Received: {skip_corrupt}")
        self.folder = folder
        self.tokenizer = tokenizer
        self.vocabulary = tokenizer.vocabulary
        self.skip_corrupt = skip_corrupt
        self.lost: dict[str, int] = {}
        """The number of records that are left out, by damaged file."""

    @property
    def records_lost(self) -> int:
        """The number of records that are left out because they are damaged."""
        return sum(self.lost.values())

    def read(self, part: Part) -> Examples:
        """Reads the examples of a part.

        Raises:
            RecordError: Records are damaged and `skip_corrupt` is 0, or the file has changed.
        """
        path = self.folder / part.shard.file
        return parse_records(self._records(part), path, vocabulary_size=len(self.vocabulary))

    @abc.abstractmethod
    def _records(self, part: Part) -> Iterable[Record]:
        """Returns the usable records of a part."""

    def _usable_records(self, path: Path) -> Iterator[Record]:
        """Yields the usable records of a file, without a check that the file is complete."""
        return (item for item in read_records(path) if isinstance(item, Record))

    def labelled(self) -> bool:
        """Returns whether the records have labels for pairs of texts, according to the manifest or the first record."""
        if self.manifest.settings.get("pairs", {}).get("objective") == "none":
            return False
        path = self.folder / self.parts[0].shard.file
        usable = itertools.islice(self._usable_records(path), 1)
        first = parse_records(usable, path, vocabulary_size=len(self.vocabulary))
        return not len(first) or features.NEXT_SENTENCE_LABELS.name in first.columns

    def lengths(self) -> list[Lengths]:
        """Returns the lengths of each part's examples, from the manifest or by reading all records once."""
        return in_threads(self._lengths, self.parts)

    def _lengths(self, part: Part) -> Lengths:
        if part.shard.lengths:
            return Lengths(np.array(part.shard.length_counts()), None)
        examples = self.read(part)
        if not len(examples):
            return Lengths(np.zeros(1, np.int64), None)
        counts = np.bincount(examples.lengths)
        if features.MASKED_LM_POSITIONS.name not in examples.columns:
            return Lengths(counts, None)
        predictions = np.zeros(len(counts), np.int64)
        np.maximum.at(predictions, examples.lengths, examples.predictions)
        return Lengths(counts, predictions)

    def _check_lost(self, corpus: files.PathLike) -> None:
        """Checks the number of lost records after all files were checked.

        Raises:
            RecordError: More records are damaged than `skip_corrupt` allows.
        """
        self.lost = dict(sorted(self.lost.items()))  # threads add them in any order
        if self.records_lost > self.skip_corrupt:
            each = ", ".join(f"{file}: {lost}" for file, lost in self.lost.items())
            raise RecordError(
                f"expected at most {self.skip_corrupt} damaged records. {self.records_lost} are lost ({each}); restore "
                "the files, or raise --skip-corrupt",
                corpus,
            )


def in_threads(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Applies a function in a few threads, since reading, hashing and decompressing release the GIL."""
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(function, items))
