"""Pretraining records of other programs: TFRecord files of the original release or the Model Garden."""

from __future__ import annotations

import dataclasses
import itertools
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from kbert import features, files
from kbert.corpus.reading.parsing import Survey, survey_records
from kbert.corpus.reading.source import CorpusSource, Item, Part, in_threads
from kbert.corpus.records.manifest import Manifest, Shard
from kbert.corpus.records.reader import Damage, Record, is_compressed, read_records, without_copies
from kbert.errors import RecordError
from kbert.text.tokenizer import Tokenizer
from kbert.version import __version__

_FOREIGN_SHARD = re.compile(r"tf_?records?", re.IGNORECASE)
_PART_EXAMPLES = 16_384
"""The number of records per part of an uncompressed file, so that large files are read in parts."""
_SURVEYED = 4096
"""The number of records that are parsed at a time."""


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


class ForeignRecords(CorpusSource):
    """Records of other programs, which have no manifest. All records are checked when the files are opened.

    Args:
        corpus: A folder, a file or a glob.
        tokenizer: The tokenizer that made the ids of the records.
        skip_corrupt: The maximum number of damaged records to leave out.

    Raises:
        RecordError: There are no records, or they have no masks or different lengths; or more records are damaged than
            `skip_corrupt` allows.
    """

    is_own = False

    def __init__(self, corpus: files.PathLike, tokenizer: Tokenizer, *, skip_corrupt: int = 0) -> None:
        super().__init__(Path(corpus) if os.path.isdir(corpus) else Path(), tokenizer, skip_corrupt)
        self._surveys: dict[Path, _FileSurvey] = {}
        self._damaged_members: dict[Path, set[int]] = {}
        self._times: dict[Path, tuple[int, int]] = {}
        """The size and the modification time of each file, by which changes are noticed."""
        self.manifest, self.parts = self._survey(corpus)
        self._check_lost(corpus)

    def _usable_records(self, path: Path) -> Iterator[Record]:
        """Yields the records of a file that the survey found usable."""
        unusable = self._surveys[path].unusable
        return (record for record in super()._usable_records(path) if record.number not in unusable)

    def _survey(self, corpus: files.PathLike) -> tuple[Manifest, list[Part]]:
        """Checks and counts all records of files that have no manifest; returns a manifest and parts for them."""
        paths = files.expand_inputs([corpus])
        if os.path.isdir(corpus):
            paths = [path for path in paths if _FOREIGN_SHARD.search(path.name)]
        if not paths:
            raise RecordError("expected a manifest.json, or files with tfrecord or tf_record in their names", corpus)
        self._times = {path: _time(path) for path in paths}
        parts = [part for some in in_threads(self._survey_file, paths) for part in some]
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
        for block in _blocks(self._read_file(path), _SURVEYED):
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
        lengths = in_threads(self._lengths, parts)
        return max(len(each.counts) - 1 for each in lengths), predictions

    def _read_file(self, path: Path, **place: Any) -> Iterator[Record | Damage]:
        if path not in self._damaged_members:
            # Whether a gzip member is damaged is known only after its checksum, which stands at its end, so the file
            # is read once before any record is returned.
            items = read_records(path) if is_compressed(path) else ()
            self._damaged_members[path] = {item.offset for item in items if isinstance(item, Damage) and item.in_member}
        return without_copies(read_records(path, **place), self._damaged_members[path])

    def _records(self, part: Part) -> Iterator[Record]:
        path = self.folder / part.shard.file
        found = 0
        for item in self._read_file(path, begin=part.begin, end=part.end, number=part.number):
            if isinstance(item, Record) and item.number not in self._surveys[path].unusable:
                found += 1
                yield item
        if found != part.examples or _time(path) != self._times[path]:
            raise RecordError("expected the file as it was at the start. It has changed since", path)


def _blocks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    stream = iter(items)
    while block := list(itertools.islice(stream, size)):
        yield block


def _time(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
