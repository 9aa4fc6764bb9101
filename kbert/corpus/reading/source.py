"""Opens a corpus that kbert built, or TFRecord files of the original release or the Model Garden.

This module detects shards that are missing, unexpected, changed or damaged. Records are left out only if the caller
allows it, and then they are counted.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from kbert import features, files
from kbert.corpus.reading.examples import Examples, Survey, parse_records, survey_records
from kbert.corpus.records.manifest import FILE_NAME as MANIFEST_FILE
from kbert.corpus.records.manifest import VOCABULARY_FILE, Manifest, Shard
from kbert.corpus.records.reader import Damage, Record, is_compressed, read_records, without_copies
from kbert.errors import RecordError, UsageError
from kbert.model_folder.tokenizer import tokenizer_from
from kbert.text.tokenizer import Tokenizer
from kbert.text.tokenizer_files import load_tokenizer
from kbert.text.vocabulary import Vocabulary
from kbert.version import __version__

_OWN_SHARD = re.compile(r"examples-\d+\.tfrecord(\.gz)?")
_FOREIGN_SHARD = re.compile(r"tf_?records?", re.IGNORECASE)
_THREADS = 4
_PART_EXAMPLES = 16_384
"""The number of records per part of an uncompressed file of another program, so that large files are read in parts."""

_SURVEYED = 4096
"""The number of records that are parsed at a time."""

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


@dataclasses.dataclass
class _FileSurvey:
    """The result of checking a file of another program (see `Survey`), with the numbers of its unusable records."""

    padded: dict[int, Record]
    predictions: int
    unusable: set[int]

    def add(self, found: Survey, records: Iterable[Record]) -> None:
        """Adds the result of checking more records of the file."""
        self.padded = {**found.padded, **self.padded}
        self.predictions = max(self.predictions, found.predictions)
        self.unusable |= {record.number for record in records} - {record.number for record in found.usable}


class CorpusSource:
    """The shards of a corpus, its manifest, and its tokenizer.

    Args:
        corpus: A folder that `kbert corpus build` wrote; or a folder, a file or a glob of other pretraining records.
        vocab: The vocabulary of other records: a vocab.txt, or a model folder with all its settings.
        cased: Whether the text of other records kept its case, if `vocab` is a vocab.txt.
        skip_corrupt: The maximum number of damaged records to leave out. If it is above 0, all shards are checked when
            the corpus is opened, so that the number of lost records is known from the start.

    Raises:
        RecordError: `corpus` is not a corpus; a shard is missing, unexpected or changed; or more records are damaged
            than `skip_corrupt` allows.
        UsageError: Options do not fit the corpus.
    """

    def __init__(
        self,
        corpus: files.PathLike,
        *,
        vocab: files.PathLike | None = None,
        cased: bool = False,
        skip_corrupt: int = 0,
    ) -> None:
        if skip_corrupt < 0:
            raise UsageError(f"skip_corrupt must be at least 0. Received: {skip_corrupt}")
        self.skip_corrupt = skip_corrupt
        self.lost: dict[str, int] = {}
        """The number of records that are left out, by damaged file."""
        self._surveys: dict[Path, _FileSurvey] = {}
        self.is_own = vocab is None or (Path(corpus) / MANIFEST_FILE).exists()
        if self.is_own:
            if vocab is not None or cased:
                raise UsageError(f"{os.fspath(corpus)} has its own vocabulary and case: leave out --vocab and --cased")
            self.folder = Path(corpus)
            self.manifest, self.tokenizer = self._open_own()
            self.vocabulary = self.tokenizer.vocabulary
            self.parts = [Part(shard, shard.examples) for shard in self.manifest.shards]
            if skip_corrupt:
                _each(self._check_shard, self.manifest.shards)
        else:
            assert vocab is not None
            self.folder = Path(corpus) if os.path.isdir(corpus) else Path()
            self.tokenizer = tokenizer_from(vocab, cased=cased)
            self.vocabulary = self.tokenizer.vocabulary
            self.manifest, self.parts = self._survey(corpus)
        self.lost = dict(sorted(self.lost.items()))  # threads add them in any order
        if self.records_lost > skip_corrupt:
            each = ", ".join(f"{file}: {lost}" for file, lost in self.lost.items())
            raise RecordError(
                f"expected at most {skip_corrupt} damaged records. {self.records_lost} are lost ({each}); restore the "
                "files, or raise --skip-corrupt",
                corpus,
            )

    @property
    def records_lost(self) -> int:
        """The number of records that are left out because they are damaged."""
        return sum(self.lost.values())

    def read(self, part: Part) -> Examples:
        """Reads the examples of a part.

        Raises:
            RecordError: Records are damaged and `skip_corrupt` is 0, or the file has changed.
        """
        records = self._own_records(part.shard) if self.is_own else self._foreign_records(part)
        return parse_records(records, self.folder / part.shard.file, vocabulary_size=len(self.vocabulary))

    def labelled(self) -> bool:
        """Returns whether the records have labels for pairs of texts, according to the manifest or the first record."""
        if self.manifest.settings.get("pairs", {}).get("objective") == "none":
            return False
        path = self.folder / self.parts[0].shard.file
        survey = self._surveys.get(path)
        usable = (item for item in _whole_records(path) if survey is None or item.number not in survey.unusable)
        first = parse_records(itertools.islice(usable, 1), path, vocabulary_size=len(self.vocabulary))
        return not len(first) or features.NEXT_SENTENCE_LABELS.name in first.columns

    def lengths(self) -> list[Lengths]:
        """Returns the lengths of each part's examples, from the manifest or by reading all records once."""
        return _each(self._lengths, self.parts)

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

    # === Shards that kbert wrote ===

    def _open_own(self) -> tuple[Manifest, Tokenizer]:
        if not self.folder.exists():
            raise RecordError("expected a corpus made by `kbert corpus build`. There is no such folder", self.folder)
        if not (self.folder / MANIFEST_FILE).exists():
            raise RecordError(
                f"expected a corpus made by `kbert corpus build`, but it has no {MANIFEST_FILE}. For records of "
                "other programs, name their vocabulary: --vocab",
                self.folder,
            )
        manifest = Manifest.load(self.folder)
        vocabulary = Vocabulary.from_file(self.folder / VOCABULARY_FILE)
        if vocabulary.sha256() != manifest.vocabulary_sha256:
            raise RecordError(
                "expected the vocabulary that the corpus was built with. The file has changed; build the corpus again",
                self.folder / VOCABULARY_FILE,
            )
        if "tokenizer" in manifest.settings:  # older corpora hold only vocab.txt
            held = load_tokenizer(self.folder)
            if held.settings != manifest.tokenizer:
                raise RecordError(
                    f"expected the tokenizer's files to hold the settings of {MANIFEST_FILE}. They have changed; build "
                    "the corpus again",
                    self.folder,
                )
            vocabulary = held.vocabulary
        named = {shard.file for shard in manifest.shards}
        for file in sorted(named):
            if not (self.folder / file).is_file():
                raise RecordError(
                    "expected a shard that the manifest names. It is missing; restore it, or build the corpus again",
                    self.folder / file,
                )
        for path in sorted(self.folder.iterdir()):
            if _OWN_SHARD.fullmatch(path.name) and path.name not in named:
                raise RecordError("expected only shards that the manifest names. This is one too many; remove it", path)
        return manifest, Tokenizer.from_settings(vocabulary, manifest.tokenizer)

    def _own_records(self, shard: Shard) -> list[Record]:
        path = self.folder / shard.file
        records, damages = self._salvage(shard)
        lost = shard.examples - len(records)
        if damages and not self.skip_corrupt:
            first = damages[0]
            raise RecordError(
                f"expected whole records. The shard is damaged at byte {first.offset}, record {first.number + 1}: "
                f"{first.reason}; {lost} of its {shard.examples} examples are lost. Restore it, build the corpus "
                f"again, or train without them: `kbert pretrain --skip-corrupt {max(1, lost)}`",
                path,
            )
        if lost != self.lost.get(shard.file, 0):
            raise RecordError("expected the shard as it was at the start. It has changed since", path)
        return records

    def _salvage(self, shard: Shard) -> tuple[list[Record], list[Damage]]:
        """Returns the intact records of a shard, and its damages, each of which may lose some records."""
        path = self.folder / shard.file
        changed = files.file_sha256(path) != shard.sha256
        found: Iterable[Record | Damage] = list(read_records(path, strict=changed))
        members = {item.offset for item in found if isinstance(item, Damage) and item.in_member}
        found = list(without_copies(found, members))
        records = [item for item in found if isinstance(item, Record)]
        damages = [item for item in found if isinstance(item, Damage)]
        if len(records) < shard.examples and not damages:
            damages.append(Damage(len(records), path.stat().st_size, "the file ends too early", None))
        if len(records) > shard.examples or (changed and not damages):
            raise RecordError(
                f"expected {shard.examples} examples with the SHA-256 of the manifest. Received {len(records)} intact "
                "examples with another SHA-256: this is another shard; restore it, or build the corpus again",
                path,
            )
        return records, damages

    def _check_shard(self, shard: Shard) -> None:
        if files.file_sha256(self.folder / shard.file) != shard.sha256:
            records, _ = self._salvage(shard)
            self.lost[shard.file] = shard.examples - len(records)

    # === Records of other programs ===

    def _survey(self, corpus: files.PathLike) -> tuple[Manifest, list[Part]]:
        """Checks and counts all records of files that have no manifest; returns a manifest and parts for them."""
        paths = files.expand_inputs([corpus])
        if os.path.isdir(corpus):
            paths = [path for path in paths if _FOREIGN_SHARD.search(path.name)]
        if not paths:
            raise RecordError("expected a manifest.json, or files with tfrecord or tf_record in their names", corpus)
        self._damaged_members: dict[Path, set[int]] = {}
        self._times = {path: _time(path) for path in paths}
        parts = [part for some in _each(self._survey_file, paths) for part in some]
        sequence_length, max_predictions = self._sizes(parts)
        shards = list({part.shard.file: part.shard for part in parts}.values())
        manifest = Manifest(
            lowercase=self.tokenizer.lowercase,
            vocabulary_sha256=self.vocabulary.sha256(),
            sequence_length=sequence_length,
            max_predictions=max_predictions,
            masking="static",
            settings={"tokenizer": dataclasses.asdict(self.tokenizer.settings)},
            counts={"examples": sum(shard.examples for shard in shards)},
            shards=shards,
            kbert_version=__version__,
        )
        return manifest, [part for part in parts if part.examples]

    def _survey_file(self, path: Path) -> list[Part]:
        file = os.path.relpath(path, self.folder) if self.folder != Path() else os.fspath(path)
        begins: list[tuple[int, int, int]] = []  # (offset, number, records before) of each part
        whole = lost = 0
        survey = _FileSurvey({}, 0, set())
        for block in _blocks(self._read_foreign(path), _SURVEYED):
            damages = [item for item in block if isinstance(item, Damage)]
            records = [item for item in block if isinstance(item, Record)]
            for damage in damages:
                self._check_damage(damage, path)
                lost += damage.lost or 0
            found = survey_records(records, path, vocabulary_size=len(self.vocabulary))
            if found.problems and not self.skip_corrupt:
                hint = ""
                if found.usable:
                    hint = f"; or train without it: `kbert pretrain --skip-corrupt {len(found.problems)}`"
                raise RecordError(f"{found.problems[0]}{hint}")
            lost += len(found.problems)
            survey.add(found, records)
            for record in found.usable:
                if not whole % _PART_EXAMPLES:
                    begins.append((record.offset, record.number, whole))
                whole += 1
        self._surveys[path] = survey
        if lost:
            self.lost[file] = lost
        shard = Shard(file, whole, files.file_sha256(path))
        if not whole or is_compressed(path):
            return [Part(shard, whole)]
        ends = [*begins[1:], (None, 0, whole)]
        return [
            Part(shard, after - before, begin, end, number)
            for (begin, number, before), (end, _, after) in zip(begins, ends, strict=True)
        ]

    def _check_damage(self, damage: Damage, path: Path) -> None:
        if self.skip_corrupt and damage.lost is not None:
            return
        way_out = (
            f"train without it: `kbert pretrain --skip-corrupt {damage.lost or 1}`"
            if damage.lost is not None
            else "leave the file out: the number of lost records is unknown"
        )
        raise RecordError(
            f"expected whole records. The file is damaged at byte {damage.offset}, record {damage.number + 1}: "
            f"{damage.reason}. Restore the file, or {way_out}",
            path,
        )

    def _sizes(self, parts: list[Part]) -> tuple[int, int]:
        """Returns the sequence length and the maximum number of predictions in an example.

        Raises:
            RecordError: There are no records, they have no masks, or they are padded to different lengths.
        """
        first = next((part for part in parts if part.examples), None)
        if first is None:
            raise RecordError("expected records. There are none", self.folder / parts[0].shard.file)
        padded: dict[int, str] = {}
        for path, survey in sorted(self._surveys.items()):
            for length, record in survey.padded.items():
                padded.setdefault(length, f"{length} tokens in record {record.number + 1} of {path.name}")
        if len(padded) > 1:
            raise RecordError(
                f"expected records of one sequence length. Received: {', '.join(padded.values())}; put the records of "
                "each length into a folder of their own, and pass a --corpus and a --phase for each",
                self.folder,
            )
        predictions = max(survey.predictions for survey in self._surveys.values())
        if not predictions:
            masks = ", ".join(feature.name for feature in features.MASKING_FEATURES)
            raise RecordError(
                f"expected records with {masks}. They have no masks; build a corpus from the text",
                self.folder / first.shard.file,
            )
        if padded:
            return next(iter(padded)), predictions
        lengths = _each(self._lengths, parts)
        return max(len(each.counts) - 1 for each in lengths), predictions

    def _read_foreign(self, path: Path, **place: Any) -> Iterator[Record | Damage]:
        if path not in self._damaged_members:
            # Whether a gzip member is damaged is known only after its checksum, which stands at its end, so the file
            # is read once before any record is returned.
            items = read_records(path) if is_compressed(path) else ()
            self._damaged_members[path] = {item.offset for item in items if isinstance(item, Damage) and item.in_member}
        return without_copies(read_records(path, **place), self._damaged_members[path])

    def _foreign_records(self, part: Part) -> Iterator[Record]:
        path = self.folder / part.shard.file
        found = 0
        for item in self._read_foreign(path, begin=part.begin, end=part.end, number=part.number):
            if isinstance(item, Record) and item.number not in self._surveys[path].unusable:
                found += 1
                yield item
        if found != part.examples or _time(path) != self._times[path]:
            raise RecordError("expected the file as it was at the start. It has changed since", path)


def _each(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Applies a function in a few threads, since reading, hashing and decompressing release the GIL."""
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(function, items))


def _blocks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    stream = iter(items)
    while block := list(itertools.islice(stream, size)):
        yield block


def _whole_records(path: Path) -> Iterator[Record]:
    return (item for item in read_records(path) if isinstance(item, Record))


def _time(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
