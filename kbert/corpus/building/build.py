"""Builds pretraining records from text, on all cores of one machine.

Documents are read in chunks; worker processes turn chunks into records, which are joined to shards in the order of the
text. So memory use depends only on the size of a chunk, and the bytes of the output depend only on the input, the
settings and the seed. A build that was interrupted can continue after the last shard on disk.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import itertools
import os
import platform
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from kbert import files
from kbert.corpus.building import beam, shards
from kbert.corpus.building.build_folder import prepare_folder
from kbert.corpus.building.chunks import FEATURE_NAMES, BuildSettings, Chunk
from kbert.corpus.building.grouping import chunk_documents
from kbert.corpus.building.journal import FinishedShard, Journal
from kbert.corpus.building.misfits import tell_counts, tell_whole_words
from kbert.corpus.building.plan import plan_chunks
from kbert.corpus.building.workers import build_chunks
from kbert.corpus.masking import MaskingSettings
from kbert.corpus.pairs import PairSettings
from kbert.corpus.records.manifest import VOCABULARY_FILE, Input, Manifest
from kbert.corpus.sentences import SentenceSettings
from kbert.corpus.word_list import read_word_list, words_sha256
from kbert.errors import DataError, UsageError
from kbert.model_folder.tokenizer import tokenizer_from
from kbert.runtime.interrupts import raised_signals
from kbert.sources.sheets import file_of
from kbert.sources.source import Source, SourceSettings
from kbert.text.settings import TokenizerSettings
from kbert.text.text_sample import sample_text, some_lines, tell_lost_marks
from kbert.text.tokenizer import Tokenizer
from kbert.text.tokenizer_files import is_tokenizer_file, save_tokenizer
from kbert.text.unknown_words import unknown_words
from kbert.version import __version__

Progress = Callable[[str, int, int], None]
"""A function that is called with (stage, bytes of text done, bytes of the input on disk or 0 if unknown)."""

MASKINGS = ("dynamic", "static")
COMPRESSIONS = ("gzip", "none")

_CHUNK_SIZE = 1 << 20
"""The size of a chunk in bytes of text: it holds some hundred documents to draw random texts from."""


def build_corpus(
    inputs: Sequence[files.PathLike],
    *,
    vocab: files.PathLike | Tokenizer,
    output: files.PathLike,
    sequence_length: int = 128,
    objective: str = "nsp",
    max_predictions: int | None = None,
    masking: str = "dynamic",
    mask_probability: float = 0.15,
    whole_words: bool = False,
    spans: bool = False,
    word_list: files.PathLike | None = None,
    short_probability: float = 0.1,
    duplicates: int = 1,
    cased: bool = False,
    strip_accents: bool | None = None,
    format: str = "auto",
    text_field: str = "text",
    document_separator: str = "blank-line",
    invalid_utf8: str = "fail",
    nfc: bool = False,
    deduplicate: str = "none",
    skip_bad: int = 0,
    encoding: str = "utf-8",
    delimiter: str | None = None,
    quoting: str = "auto",
    sentences: str = "split",
    language: str = "auto",
    feature_names: str = "tf-hub",
    compression: str = "gzip",
    workers: int = 1,
    seed: int = 0,
    resume: bool = False,
    runner: str | None = None,
    runner_options: Sequence[str] = (),
    progress: Progress | None = None,
) -> Manifest:
    """Builds a folder of pretraining records from text files.

    The folder contains TFRecord shards, the tokenizer's files and a manifest.json. The manifest is written last: a
    folder without it is not a corpus. The logger "kbert" warns about vocabulary entries that no text produces, scripts
    that lose vowel signs, words that are too long, and many unknown words.

    Args:
        inputs: Files (also .gz, .bz2, .xz, .zst), folders, globs, or datasets by name (see `Source`).
        vocab: A vocab.txt; a tokenizer.json, or a folder of a model, of a corpus or of `kbert vocab train`, with all
            its settings; or a tokenizer.
        output: The folder to write.
        sequence_length: The maximum length of an example in tokens, including special tokens.
        objective: "nsp": half of the second texts come from another document (next sentence prediction). "sop": half of
            the pairs are swapped (sentence order prediction). "none": examples of one text of whole sentences, with
            label 0.
        max_predictions: The maximum number of predictions per example. The default is `mask_probability` times
            `sequence_length`, rounded up.
        masking: "dynamic" stores plain ids, which are masked anew in each epoch of training; "static" stores masked
            ids, as the original create_pretraining_data.py does.
        mask_probability: The fraction of tokens that are predicted.
        whole_words: Whether to mask all pieces of a word or none.
        spans: Whether to mask spans of whole words, as SpanBERT does.
        word_list: A file of Chinese words, one per line, so that `whole_words` or `spans` can mask them as a whole.
        short_probability: The fraction of documents whose examples get a random, shorter target length.
        duplicates: The number of passes over the text, each with other pairs.
        cased: Whether to keep case and accents, if `vocab` is a vocab.txt.
        strip_accents: Whether to strip accents, and with them the vowel signs of many scripts, if `vocab` is a
            vocab.txt. None strips them unless `cased` is true.
        format: "auto", or the format of all files (see `SourceSettings`).
        text_field: The field or column with the text.
        document_separator: "blank-line" if blank lines separate the documents of a text file, "line" if each line is a
            document.
        invalid_utf8: "fail" to raise an error for lines that are not UTF-8, "skip" to leave them out and count them.
        nfc: Whether to normalize text to Unicode's composed form, NFC.
        deduplicate: "document" or "line" to keep only the first of equal documents or lines, or "none".
        skip_bad: The maximum number of rows without usable text to leave out; they are counted.
        encoding: The encoding of the files.
        delimiter: The delimiter between the cells of CSV and TSV files; None depends on the format.
        quoting: "csv" if quotation marks enclose cells, "none" if they are text, or "auto".
        sentences: "split" to split lines into sentences, "lines" to treat each line as a sentence.
        language: The language whose rules split sentences, one of `kbert.corpus.sentences.LANGUAGES`; "auto" detects it
            for each document.
        feature_names: "tf-hub", or "original" with static masks: input_ids and segment_ids, which the original release
            and the Model Garden read.
        compression: "gzip", or "none", which the original release's reader needs.
        workers: The number of processes. The records do not depend on it.
        seed: Seeds the choice of pairs and of short examples, and static masks.
        resume: Whether to continue an unfinished build in `output` after its last shard. If there is none, a build is
            started.
        runner: The Apache Beam runner to build with, instead of `workers` processes (see
            `kbert.corpus.building.beam`). The records do not depend on it.
        runner_options: Options for Beam, such as "--parallelism=8".
        progress: A function that is called as the build proceeds (see `Progress`).

    Returns:
        The manifest of the corpus.

    Raises:
        UsageError: An option is invalid, `output` holds other files, or the build in it had other settings.
        DataError: The text is unreadable, or contains fewer than two documents.
        Interrupted: The process received SIGINT or SIGTERM.
    """
    words = () if word_list is None else read_word_list(word_list)
    tokenizer = tokenizer_from(vocab, cased=cased, strip_accents=strip_accents)
    # A model's maximum input length does not affect the records.
    tokenizer = tokenizer.replace(model_max_length=None)
    settings = _check_settings(
        sequence_length=sequence_length,
        objective=objective,
        max_predictions=max_predictions,
        masking=masking,
        mask_probability=mask_probability,
        whole_words=whole_words,
        spans=spans,
        words=words,
        short_probability=short_probability,
        duplicates=duplicates,
        tokenizer=tokenizer.settings,
        source=SourceSettings(
            format,
            text_field,
            document_separator,
            invalid_utf8,
            nfc,
            deduplicate,
            skip_bad,
            encoding,
            delimiter,
            quoting,
        ),
        sentences=SentenceSettings(sentences, language),
        feature_names=feature_names,
        compression=compression,
        seed=seed,
    )
    if workers < 1:
        raise UsageError(f"workers must be at least 1. Received: workers={workers}")
    if runner is not None:
        if resume:
            raise UsageError("--resume works only without --runner: runners of Beam repeat failed work by themselves")
        beam.check_runner(runner, runner_options)
    vocabulary = tokenizer.vocabulary
    source = Source(inputs, settings.source)
    before = [_stamp(*part) for part in source.parts]
    all_settings = {**dataclasses.asdict(settings), "source": settings.source.facts(), "formats": source.formats()}
    identity = {
        "kbert_version": __version__,
        "vocabulary_sha256": vocabulary.sha256(),
        "inputs": before,
        "settings": all_settings,
    }
    folder = Path(output)
    journal = Journal(folder, identity)
    finished = prepare_folder(folder, journal, resume=resume)
    if finished is None:
        return Manifest.load(folder)
    vocabulary.save(folder / VOCABULARY_FILE)
    sample = sample_text(source, tokenizer, max_word_length=tokenizer.settings.max_word_length)
    # The settings of a folder or a tokenizer.json are those of its model.
    if not isinstance(vocab, Tokenizer) and os.path.isfile(vocab) and not is_tokenizer_file(vocab):
        tell_lost_marks(sample, tokenizer.settings)
    if whole_words and not words:
        tell_whole_words(sample, tokenizer.settings)

    least = 2 if objective == "nsp" else 1

    def at(stage: str) -> Callable[[int], None] | None:
        return (lambda done: progress(stage, done, source.size)) if progress else None

    hashed = at("looking for duplicates")
    if runner is not None:
        plans = plan_chunks(source, _CHUNK_SIZE, least=least, scanned=at("planning"), hashed=hashed)
        job = beam.Job(source, vocabulary, settings, words, folder.absolute())
        finished = beam.run_job(job, plans, runner, runner_options)
    else:
        chunks = chunk_documents(source.documents(progress=hashed), _CHUNK_SIZE, least=least)
        done = sum(shard.chunks for shard in finished)
        rest = itertools.islice(enumerate(chunks), done, None)
        with (
            raised_signals("; add --resume to the same command to continue"),
            contextlib.closing(build_chunks(rest, vocabulary, settings, words, workers)) as results,
        ):
            try:
                for shard in _write_shards(folder, results, finished, settings, progress, source.size):
                    journal.add(shard)
                    finished.append(shard)
            except OSError as problem:
                if problem.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                where = "" if settings.source.deduplicate == "none" else ", or in TMPDIR,"
                raise DataError(
                    f"the disk is full; {len(finished)} finished shards are kept. Free some space{where} and add "
                    "--resume to the same command",
                    folder,
                ) from None
    counts: Counter[str] = Counter()
    for shard in finished:
        counts.update(shard.counts)
    if not counts["examples"]:
        raise DataError(
            "expected at least two documents with text. The inputs give no example"
            if objective == "nsp"
            else "expected text. The inputs give no example"
        )
    for part, stamp in zip(source.parts, before, strict=True):
        if _stamp(*part) != stamp:
            raise DataError("expected a file that does not change. It changed while it was read; start again", part[0])
    tell_counts(
        counts,
        sample,
        tokenizer,
        lambda: unknown_words(some_lines(source), tokenizer),
        has_words=bool(words),
    )
    manifest = Manifest(
        lowercase=tokenizer.lowercase,
        vocabulary_sha256=vocabulary.sha256(),
        sequence_length=sequence_length,
        max_predictions=settings.masking.max_predictions,
        masking=masking,
        settings=all_settings,
        counts=dict(sorted({**counts, **source.counts}.items())),
        shards=[shard.shard for shard in finished],
        kbert_version=__version__,
        objective=objective,
        inputs=[
            Input(*stamp, sha256="" if kind == "dataset" else files.file_sha256(file_of(path)))
            for (path, kind), stamp in zip(source.parts, before, strict=True)
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


def _check_settings(
    *,
    sequence_length: int,
    objective: str,
    max_predictions: int | None,
    masking: str,
    mask_probability: float,
    whole_words: bool,
    spans: bool,
    words: Sequence[str],
    short_probability: float,
    duplicates: int,
    tokenizer: TokenizerSettings,
    source: SourceSettings,
    sentences: SentenceSettings,
    feature_names: str,
    compression: str,
    seed: int,
) -> BuildSettings:
    for name, value, choices in (
        ("masking", masking, MASKINGS),
        ("feature_names", feature_names, FEATURE_NAMES),
        ("compression", compression, COMPRESSIONS),
    ):
        if value not in choices:
            raise UsageError(f"{name} must be one of {', '.join(choices)}. Received: {name}={value!r}")
    if sequence_length < 8:
        raise UsageError(f"sequence_length must be at least 8. Received: sequence_length={sequence_length}")
    if duplicates < 1:
        raise UsageError(f"duplicates must be at least 1. Received: duplicates={duplicates}")
    if words and not (whole_words or spans):
        raise UsageError("--word-list has no effect without whole-word masking; add --whole-words or --spans")
    if feature_names == "original" and masking != "static":
        raise UsageError("--feature-names original needs --masking static, as the original release reads masked ids")
    if not 0 < mask_probability < 1:
        raise UsageError(f"mask_probability must be in (0, 1). Received: mask_probability={mask_probability}")
    if max_predictions is None:
        max_predictions = default_predictions(sequence_length, mask_probability)
    if max_predictions > sequence_length:
        raise UsageError(
            f"max_predictions must be at most sequence_length. Received: {max_predictions} and {sequence_length}"
        )
    return BuildSettings(
        pairs=PairSettings(sequence_length, short_probability, objective),
        masking=MaskingSettings(mask_probability, max_predictions, whole_words, spans),
        static=masking == "static",
        duplicates=duplicates,
        tokenizer=tokenizer,
        source=source,
        sentences=sentences,
        feature_names=feature_names,
        compressed=compression == "gzip",
        word_list=words_sha256(words) if words else None,
        seed=seed,
    )


def _write_shards(
    folder: Path,
    results: Iterator[Chunk],
    finished: Sequence[FinishedShard],
    settings: BuildSettings,
    progress: Progress | None,
    total: int,
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
                progress("building", size, total)
            chunk = next(results, None) if examples < shards.SHARD_EXAMPLES else None

    for number in itertools.count(len(finished)):
        chunk = next(results, None)
        if chunk is None:
            return
        yield shards.write_shard(folder, number, chunks_of_shard(chunk), settings)


def _stamp(path: str, kind: str) -> tuple[str, int, int]:
    """Returns path, size and modification time (ns) of a file, by which changes are noticed; zeros for a dataset."""
    if kind == "dataset":
        return path, 0, 0
    status = os.stat(file_of(path))
    return path, status.st_size, status.st_mtime_ns
