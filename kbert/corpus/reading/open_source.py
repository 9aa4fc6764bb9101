"""Opens a corpus that kbert built, or pretraining records of other programs."""

from __future__ import annotations

import os
from pathlib import Path

from kbert import files
from kbert.corpus.reading.foreign_records import ForeignRecords
from kbert.corpus.reading.own_corpus import OwnCorpus
from kbert.corpus.reading.source import CorpusSource
from kbert.corpus.records.manifest import FILE_NAME as MANIFEST_FILE
from kbert.errors import UsageError
from kbert.model_folder.tokenizer import tokenizer_from


def open_source(
    corpus: files.PathLike,
    *,
    vocab: files.PathLike | None = None,
    cased: bool = False,
    skip_corrupt: int = 0,
) -> CorpusSource:
    """Opens the shards of a corpus with its manifest and its tokenizer.

    Args:
        corpus: A folder that `kbert corpus build` wrote; or a folder, a file or a glob of other pretraining records.
        vocab: The vocabulary of other records: a vocab.txt, or a model folder with all its settings.
        cased: Whether the text of other records kept its case, if `vocab` is a vocab.txt.
        skip_corrupt: The maximum number of damaged records to leave out.

    Raises:
        RecordError: `corpus` is not a corpus; a shard is missing, unexpected or changed; or more records are damaged
            than `skip_corrupt` allows.
        UsageError: Options do not fit the corpus.
    """
    if vocab is not None and not (Path(corpus) / MANIFEST_FILE).exists():
        return ForeignRecords(corpus, tokenizer_from(vocab, cased=cased), skip_corrupt=skip_corrupt)
    if vocab is not None or cased:
        raise UsageError(f"{os.fspath(corpus)} has its own vocabulary and case: leave out --vocab and --cased")
    return OwnCorpus(Path(corpus), skip_corrupt=skip_corrupt)
