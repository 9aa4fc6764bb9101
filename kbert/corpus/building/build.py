"""Builds pretraining records from text, on all cores of one machine, or as a job of Apache Beam.

Documents are read in chunks; worker processes turn chunks into records, which are joined to shards in the order of the
text. So memory use depends only on the size of a chunk, and the bytes of the output depend only on the input, the
settings and the seed. A build that was interrupted can continue after the last shard on disk.
"""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from kbert import files
from kbert.beam.pipeline import check_runner
from kbert.corpus.building import beam, local
from kbert.corpus.building.build_folder import prepare_folder
from kbert.corpus.building.chunks import BuildSettings
from kbert.corpus.building.grouping import chunk_documents
from kbert.corpus.building.journal import FinishedShard, Journal
from kbert.corpus.building.misfits import tell_counts, tell_whole_words
from kbert.corpus.building.plan import plan_chunks
from kbert.corpus.masking import MaskingSettings
from kbert.corpus.options import BuildCorpusOptions
from kbert.corpus.pairs import PairSettings
from kbert.corpus.records.manifest import VOCABULARY_FILE, Input, Manifest
from kbert.corpus.sentences import SentenceSettings
from kbert.corpus.word_list import read_word_list, words_sha256
from kbert.errors import DataError
from kbert.model_folder.tokenizer import tokenizer_from
from kbert.options import with_options
from kbert.sources.settings import SourceSettings
from kbert.sources.sheets import file_of
from kbert.sources.source import Source
from kbert.text.settings import TokenizerSettings
from kbert.text.text_sample import TextSample, sample_text, some_lines, tell_lost_marks
from kbert.text.tokenizer import Tokenizer
from kbert.text.tokenizer_files.reading import is_tokenizer_file
from kbert.text.tokenizer_files.writing import save_tokenizer
from kbert.text.unknown_words import unknown_words
from kbert.version import __version__

Progress = Callable[[str, int, int], None]
"""A function that is called with (stage, bytes of text done, bytes of the input on disk or 0 if unknown)."""

_CHUNK_SIZE = 1 << 20
"""The size of a chunk in bytes of text: it holds some hundred documents to draw random texts from."""


@with_options(BuildCorpusOptions)
def build_corpus(
    inputs: Sequence[files.PathLike],
    *,
    options: BuildCorpusOptions,
    progress: Progress | None = None,
) -> Manifest:
    """Builds a folder of pretraining records from text files.

    The folder contains TFRecord shards, the tokenizer's files and a manifest.json. The manifest is written last: a
    folder without it is not a corpus. The logger "kbert" warns about vocabulary entries that no text produces, scripts
    that lose vowel signs, words that are too long, and many unknown words.

    Args:
        inputs: Files (also .gz, .bz2, .xz, .zst), folders, globs, or datasets by name (see `Source`).
        options: All of these options in one object.
        progress: A function that is called as the build proceeds (see `Progress`).

    Returns:
        The manifest of the corpus.

    Raises:
        UsageError: An option is invalid, `output` holds other files, or the build in it had other settings.
        DataError: The text is unreadable, or contains fewer than two documents.
        Interrupted: The process received SIGINT or SIGTERM.
    """
    words = () if options.word_list is None else read_word_list(options.word_list)
    tokenizer = tokenizer_from(options.vocab, cased=options.cased, strip_accents=options.strip_accents)
    # A model's maximum input length does not affect the records.
    tokenizer = tokenizer.replace(model_max_length=None)
    settings = _build_settings(options, words, tokenizer.settings)
    if options.runner is not None:
        check_runner(options.runner, options.runner_options)
    source = Source(inputs, settings.source)
    stamps = [_stamp(*part) for part in source.parts]
    facts = {**settings.facts(), "formats": source.formats()}
    identity = {
        "kbert_version": __version__,
        "vocabulary_sha256": tokenizer.vocabulary.sha256(),
        "inputs": stamps,
        "settings": facts,
    }
    folder = Path(options.output)
    journal = Journal(folder, identity)
    finished = prepare_folder(folder, journal, resume=options.resume)
    if finished is None:
        return Manifest.load(folder)
    tokenizer.vocabulary.save(folder / VOCABULARY_FILE)
    sample = _sample(source, tokenizer, options, has_words=bool(words))
    finished = _build_shards(source, tokenizer, settings, words, options, journal, finished, progress)
    counts = _sum_counts(finished, options.objective)
    _check_unchanged(source, stamps)
    tell_counts(
        counts,
        sample,
        tokenizer,
        lambda: Counter() if options.mask_pii else unknown_words(some_lines(source), tokenizer),
        has_words=bool(words),
    )
    manifest = Manifest(
        lowercase=tokenizer.lowercase,
        vocabulary_sha256=tokenizer.vocabulary.sha256(),
        sequence_length=options.sequence_length,
        max_predictions=settings.masking.max_predictions,
        masking=options.masking,
        settings=facts,
        counts=dict(sorted({**counts, **source.counts}.items())),
        shards=[shard.shard for shard in finished],
        kbert_version=__version__,
        objective=options.objective,
        inputs=[
            Input(*stamp, sha256="" if kind == "dataset" else files.file_sha256(file_of(path)))
            for (path, kind), stamp in zip(source.parts, stamps, strict=True)
        ],
        versions={"python": platform.python_version(), "numpy": np.__version__},
    )
    save_tokenizer(tokenizer, folder)
    manifest.save(folder)
    journal.remove()
    return manifest


def default_predictions(sequence_length: int, probability: float = 0.15) -> int:
    """Returns the default of `max_predictions`: with 15 %, 20 at length 128 and 77 at length 512."""
    return max(1, -int(-sequence_length * probability // 1))


def _build_settings(options: BuildCorpusOptions, words: Sequence[str], tokenizer: TokenizerSettings) -> BuildSettings:
    """Returns what the records depend on.

    Args:
        options: The options of the build.
        words: The words of the word list.
        tokenizer: The settings of the tokenizer.
    """
    length = options.sequence_length
    predictions = options.max_predictions or default_predictions(length, options.mask_probability)
    return BuildSettings(
        pairs=PairSettings(length, options.short_probability, options.objective),
        masking=MaskingSettings(options.mask_probability, predictions, options.whole_words, options.spans),
        static=options.masking == "static",
        duplicates=options.duplicates,
        tokenizer=tokenizer,
        source=options.narrowed(SourceSettings),
        sentences=SentenceSettings(options.sentences, options.language),
        feature_names=options.feature_names,
        compressed=options.compression == "gzip",
        word_list=words_sha256(words) if words else None,
        seed=options.seed,
        mask_pii=options.mask_pii,
    )


def _sample(source: Source, tokenizer: Tokenizer, options: BuildCorpusOptions, *, has_words: bool) -> TextSample:
    """Returns a sample of the text, and warns if it does not fit the tokenizer or the options."""
    sample = sample_text(source, tokenizer, max_word_length=tokenizer.settings.max_word_length)
    if options.mask_pii:
        sample = sample.without_words()
    # The settings of a folder or a tokenizer.json are those of its model.
    vocab = options.vocab
    if not isinstance(vocab, Tokenizer) and os.path.isfile(vocab) and not is_tokenizer_file(vocab):
        tell_lost_marks(sample, tokenizer.settings)
    if options.whole_words and not has_words:
        tell_whole_words(sample, tokenizer.settings)
    return sample


def _build_shards(
    source: Source,
    tokenizer: Tokenizer,
    settings: BuildSettings,
    words: Sequence[str],
    options: BuildCorpusOptions,
    journal: Journal,
    finished: list[FinishedShard],
    progress: Progress | None,
) -> list[FinishedShard]:
    """Builds the shards that are not finished yet, on this machine or with Beam, and returns all shards."""

    def at(stage: str) -> Callable[[int], None] | None:
        return (lambda done: progress(stage, done, source.size)) if progress else None

    least = 2 if options.objective == "nsp" else 1
    folder, hashed = Path(options.output), at("looking for duplicates")
    if options.runner is not None:
        plans = plan_chunks(source, _CHUNK_SIZE, least=least, scanned=at("planning"), hashed=hashed)
        job = beam.Job(source, tokenizer.vocabulary, settings, words, folder.absolute())
        return beam.run_job(job, plans, options.runner, options.runner_options)
    return local.build_shards(
        chunk_documents(source.documents(progress=hashed), _CHUNK_SIZE, least=least),
        folder,
        journal,
        finished,
        vocabulary=tokenizer.vocabulary,
        settings=settings,
        words=words,
        workers=options.workers,
        progress=at("building"),
    )


def _sum_counts(finished: Sequence[FinishedShard], objective: str) -> Counter[str]:
    """Returns the sums of the counts of all shards.

    Raises:
        DataError: The text gives no example.
    """
    counts: Counter[str] = Counter()
    for shard in finished:
        counts.update(shard.counts)
    if not counts["examples"]:
        raise DataError(
            "expected at least two documents with text. The inputs give no example"
            if objective == "nsp"
            else "expected text. The inputs give no example"
        )
    return counts


def _check_unchanged(source: Source, stamps: Sequence[tuple[str, int, int]]) -> None:
    """Checks that the files of the source have the stamps that they had before they were read.

    Raises:
        DataError: A file has changed.
    """
    for part, stamp in zip(source.parts, stamps, strict=True):
        if _stamp(*part) != stamp:
            raise DataError("expected a file that does not change. It changed while it was read; start again", part[0])


def _stamp(path: str, kind: str) -> tuple[str, int, int]:
    """Returns path, size and modification time (ns) of a file, by which changes are noticed; zeros for a dataset."""
    if kind == "dataset":
        return path, 0, 0
    status = os.stat(file_of(path))
    return path, status.st_size, status.st_mtime_ns
