"""Prepares the output folder of a corpus: a new or empty folder, or that of an interrupted build."""

from __future__ import annotations

import re
from pathlib import Path

from kbert import files
from kbert.corpus.building.journal import FinishedShard, Journal, check_same, finished_shards
from kbert.corpus.records.manifest import FILE_NAME as MANIFEST_FILE
from kbert.corpus.records.manifest import Manifest
from kbert.errors import DataError, UsageError

_OWN_FILE = re.compile(
    r"\.?(vocab\.txt|tokenizer\.json|tokenizer_config\.json|manifest\.json|unfinished\.jsonl|plan\.jsonl|shards\.json|examples-\d+\.tfrecord(\.gz)?)"
    r"(\.\w+\.part)?"
)
"""The names of files that an interrupted build can leave behind, including unfinished files of `kbert.files`."""


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
    files.check_new_folder(folder, ignored=_OWN_FILE.fullmatch)
    folder.mkdir(parents=True, exist_ok=True)
    left = list(folder.iterdir())
    number = finished_shards(folder)
    if number and not resume:
        raise UsageError(
            f"{folder} holds an unfinished corpus of {number} shards; add --resume to the command that began it, "
            "choose another --output, or remove it"
        )
    finished = journal.resume() if number else []
    keep = {shard.shard.file for shard in finished} | ({journal.path.name} if number else set())
    for path in left:
        if path.name not in keep:
            path.unlink()
    if not number:
        journal.start()
    for shard in finished:
        path = folder / shard.shard.file
        if not path.is_file() or files.file_sha256(path) != shard.shard.sha256:
            raise DataError(
                "expected a shard that the unfinished build wrote. It is damaged or missing; start again", path
            )
    return finished
