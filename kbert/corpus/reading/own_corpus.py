"""The corpora that `kbert corpus build` writes: shards with a manifest and a tokenizer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from kbert import files
from kbert.corpus.reading.source import CorpusSource, Part, in_threads
from kbert.corpus.records.manifest import FILE_NAME as MANIFEST_FILE
from kbert.corpus.records.manifest import VOCABULARY_FILE, Manifest, Shard
from kbert.corpus.records.reader import Damage, Record, read_records, without_copies
from kbert.errors import RecordError
from kbert.text.tokenizer import Tokenizer
from kbert.text.tokenizer_files.reading import load_tokenizer
from kbert.text.vocabulary import Vocabulary

_OWN_SHARD = re.compile(r"examples-\d+\.tfrecord(\.gz)?")


class OwnCorpus(CorpusSource):
    """A corpus that kbert built. Shards that are missing, unexpected, changed or damaged are detected.

    Args:
        folder: The folder that `kbert corpus build` wrote.
        skip_corrupt: The maximum number of damaged records to leave out. If it is above 0, all shards are checked when
            the corpus is opened, so that the number of lost records is known from the start.

    Raises:
        RecordError: The folder is not a corpus; a shard is missing, unexpected or changed; or more records are damaged
            than `skip_corrupt` allows.
    """

    is_own = True

    def __init__(self, folder: Path, *, skip_corrupt: int = 0) -> None:
        manifest, tokenizer = _open(folder)
        super().__init__(folder, tokenizer, skip_corrupt)
        self.manifest = manifest
        self.parts = [Part(shard, shard.examples) for shard in manifest.shards]
        if skip_corrupt:
            in_threads(self._check_shard, manifest.shards)
        self._check_lost(folder)

    def _records(self, part: Part) -> list[Record]:
        shard = part.shard
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


def _open(folder: Path) -> tuple[Manifest, Tokenizer]:
    """Returns the manifest and the tokenizer of a corpus, and checks that all its shards and no others are there."""
    if not folder.exists():
        raise RecordError("expected a corpus made by `kbert corpus build`. There is no such folder", folder)
    if not (folder / MANIFEST_FILE).exists():
        raise RecordError(
            f"expected a corpus made by `kbert corpus build`, but it has no {MANIFEST_FILE}. For records of "
            "other programs, name their vocabulary: --vocab",
            folder,
        )
    manifest = Manifest.load(folder)
    vocabulary = Vocabulary.from_file(folder / VOCABULARY_FILE)
    if vocabulary.sha256() != manifest.vocabulary_sha256:
        raise RecordError(
            "expected the vocabulary that the corpus was built with. The file has changed; build the corpus again",
            folder / VOCABULARY_FILE,
        )
    if "tokenizer" in manifest.settings:  # older corpora hold only vocab.txt
        held = load_tokenizer(folder)
        if held.settings != manifest.tokenizer:
            raise RecordError(
                f"expected the tokenizer's files to hold the settings of {MANIFEST_FILE}. They have changed; build "
                "the corpus again",
                folder,
            )
        vocabulary = held.vocabulary
    named = {shard.file for shard in manifest.shards}
    for file in sorted(named):
        if not (folder / file).is_file():
            raise RecordError(
                "expected a shard that the manifest names. It is missing; restore it, or build the corpus again",
                folder / file,
            )
    for path in sorted(folder.iterdir()):
        if _OWN_SHARD.fullmatch(path.name) and path.name not in named:
            raise RecordError("expected only shards that the manifest names. This is one too many; remove it", path)
    return manifest, Tokenizer.from_settings(vocabulary, manifest.tokenizer)
