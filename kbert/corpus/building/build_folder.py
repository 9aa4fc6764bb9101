"""Prepares the output folder of a corpus: a new or empty folder, or that of an interrupted build."""

from __future__ import annotations

import re
from pathlib import Path

from kbert import files
from kbert.corpus.building.journal import FinishedShard, Journal, check_same, finished_shards
from kbert.corpus.records.manifest import FILE_NAME as MANIFEST_FILE
from kbert.corpus.records.manifest import Manifest
from kbert.errors import DataError, UsageError

_OWN_NAMES = (
    r"(vocab\.txt|tokenizer\.json|tokenizer_config\.json|manifest\.json|unfinished\.jsonl|plan\.jsonl|shards\.json"
    r"|examples-\d+\.tfrecord(\.gz)?)"
)
_UNFINISHED_FILE = re.compile(rf"\.{_OWN_NAMES}\.\w+\.part")
"""The names of files that `kbert.files` had not finished when a build was interrupted."""
_OWN_FILE = re.compile(rf"{_OWN_NAMES}|{_UNFINISHED_FILE.pattern}")
"""The names of files that an interrupted build can leave behind."""


def prepare_folder(folder: Path, journal: Journal, *, resume: bool) -> list[FinishedShard] | None:
    """Prepares the output folder of a build.

    Files of an unfinished build are removed, except its finished shards and its journal.

    Args:
        folder: The output folder.
        journal: The journal of the build.
        resume: Whether to continue an unfinished build.

    Returns:
        The shards that are finished already, or None if the whole corpus is finished.

    Raises:
        UsageError: The folder holds a corpus, an unfinished corpus without `resume`, one with other settings, or
            other files.
        DataError: A finished shard is damaged or missing.
    """
    if (folder / MANIFEST_FILE).exists():
        if not resume:
            raise UsageError(f"{folder} holds a corpus already; choose another --output, or remove it")
        check_same(folder, Manifest.load(folder).identity(), journal.identity)
        journal.remove()
        return None
    # Without a journal, a vocab.txt is not from a build: `kbert vocab train` may have written it.
    ignored = _OWN_FILE if journal.path.exists() else _UNFINISHED_FILE
    files.check_new_folder(folder, ignored=ignored.fullmatch)
    folder.mkdir(parents=True, exist_ok=True)
    left = list(folder.iterdir())
    number = finished_shards(folder)
    if number and not resume:
        raise UsageError(
            f"{folder} holds an unfinished corpus of {number} shards; add --resume to the command that began it, "
            "choose another --output, or remove it"
        )
    finished = journal.resume() if number else []
    if not number:
        # Before other files are removed: without a journal, the rest of them would be refused as files of the user.
        journal.start()
    keep = {shard.shard.file for shard in finished} | {journal.path.name}
    for path in left:
        if path.name not in keep:
            path.unlink()
    for shard in finished:
        path = folder / shard.shard.file
        if not path.is_file() or files.file_sha256(path) != shard.shard.sha256:
            raise DataError(
                "expected a shard that the unfinished build wrote. It is damaged or missing; start again", path
            )
    return finished
