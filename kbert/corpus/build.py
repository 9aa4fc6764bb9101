"""Builds pretraining records from text, on all cores of one machine.

Documents stream by in chunks; a chunk becomes a gzip member of records in some process, and the members are joined
to shards in the order of the text. So memory depends on the size of a chunk alone, and the bytes of the output
on the input, the settings and the seed alone.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import hashlib
import multiprocessing
import os
import random
import re
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from kbert import features, files
from kbert.corpus import documents as documents_
from kbert.corpus import manifest as manifest_
from kbert.corpus import records
from kbert.corpus.documents import Document
from kbert.corpus.manifest import Manifest, Shard
from kbert.corpus.masking import Masker, MaskingSettings
from kbert.corpus.pairs import Pair, PairSettings, make_pairs
from kbert.corpus.sentences import split_sentences
from kbert.errors import UsageError
from kbert.text.tokenizer import Tokenizer
from kbert.text.vocabulary import Vocabulary
from kbert.version import __version__

Progress = Callable[[int, int], None]
"""Called with (bytes of text done, bytes of the input on disk)."""

MASKINGS = ("dynamic", "static")

_CHUNK_SIZE = 1 << 20
"""Bytes of text a chunk: some hundred documents to draw random texts from."""
_SHARD_EXAMPLES = 16_384
"""A shard ends with the chunk that brings it to so many examples."""
_OWN_FILE = re.compile(r"\.?(vocab\.txt|manifest\.json|examples-\d+\.tfrecord\.gz)(\.\w+\.part)?")
"""What a build that was stopped can leave behind, unfinished files of `kbert.files` among it."""


@dataclasses.dataclass(frozen=True)
class BuildSettings:
    """All that the records depend on, beside the text and the vocabulary."""

    pairs: PairSettings
    masking: MaskingSettings
    static: bool
    """Mask while building, rather than anew in each epoch while reading."""
    duplicates: int
    """How often the text is gone through, with other pairs (and other masks) each time."""
    lowercase: bool
    separator: str
    seed: int


def build_corpus(
    inputs: Sequence[files.PathLike],
    *,
    vocab: files.PathLike,
    output: files.PathLike,
    sequence_length: int = 128,
    max_predictions: int | None = None,
    masking: str = "dynamic",
    mask_probability: float = 0.15,
    whole_words: bool = False,
    short_probability: float = 0.1,
    duplicates: int = 1,
    cased: bool = False,
    document_separator: str = "blank-line",
    workers: int = 1,
    seed: int = 0,
    progress: Progress | None = None,
) -> Manifest:
    """Turns text files into a folder of pretraining records.

    The folder holds TFRecord shards (gzip), the vocabulary and a manifest.json, which is written last:
    without it a folder is not a corpus.

    Args:
        inputs: Text files (.gz, .bz2, .xz, .zst too), folders or globs: sentences or paragraphs a line, a blank line
            between documents.
        vocab: The vocab.txt to tokenize with.
        output: The folder to write.
        sequence_length: Longest example, special tokens included.
        max_predictions: Most predictions an example; by default 15 % of the length, rounded up.
        masking: "dynamic" stores plain ids, masked anew each time they are read; "static" stores masked ids, as
            the original create_pretraining_data.py does.
        mask_probability: Part of the tokens that are predicted.
        whole_words: Mask all pieces of a word or none.
        short_probability: Part of the documents whose pairs aim at a random, shorter length.
        duplicates: How often the text is gone through.
        cased: Keep case and accents.
        document_separator: "blank-line", or "line" when each line is a document.
        workers: Processes. The records do not depend on it.
        seed: Of everything random.
        progress: Told how far the work is.

    Raises:
        UsageError: An option cannot be, or `output` holds something else.
        DataError: The text cannot be read, or holds fewer than two documents.
    """
    settings = _check_settings(
        sequence_length=sequence_length,
        max_predictions=max_predictions,
        masking=masking,
        mask_probability=mask_probability,
        whole_words=whole_words,
        short_probability=short_probability,
        duplicates=duplicates,
        cased=cased,
        document_separator=document_separator,
        seed=seed,
    )
    if workers < 1:
        raise UsageError(f"workers must be at least 1. Received: workers={workers}")
    vocabulary = Vocabulary.from_file(vocab)
    paths = files.expand_inputs(inputs)
    folder = Path(output)
    _prepare_folder(folder)
    vocabulary.save(folder / manifest_.VOCABULARY_FILE)

    total = sum(os.path.getsize(path) for path in paths)
    chunks = documents_.chunk_documents(documents_.read_documents(paths, document_separator), _CHUNK_SIZE)
    shards: list[Shard] = []
    counts: Counter[str] = Counter()
    results = _run(chunks, vocabulary, settings, workers)
    for number, members in enumerate(_shards(results, counts, progress, total)):
        name = f"examples-{number:05d}.tfrecord.gz"
        digest = hashlib.sha256()
        examples = 0
        lengths: Counter[int] = Counter()
        with files.atomic_file(folder / name) as handle:
            for member in members:
                handle.write(member.data)
                digest.update(member.data)
                examples += member.counts["examples"]
                lengths.update(member.lengths)
        shards.append(Shard(name, examples, digest.hexdigest(), manifest_.write_lengths(lengths)))
    manifest = Manifest(
        lowercase=settings.lowercase,
        vocabulary_sha256=vocabulary.sha256(),
        sequence_length=sequence_length,
        max_predictions=settings.masking.max_predictions,
        masking=masking,
        settings=dataclasses.asdict(settings),
        counts=dict(sorted(counts.items())),
        shards=shards,
        kbert_version=__version__,
    )
    manifest.save(folder)
    return manifest


def default_predictions(sequence_length: int, probability: float = 0.15) -> int:
    """Places for predictions in an example: 20 at length 128, 77 at 512 with 15 %."""
    return max(1, -int(-sequence_length * probability // 1))


def _check_settings(
    *,
    sequence_length: int,
    max_predictions: int | None,
    masking: str,
    mask_probability: float,
    whole_words: bool,
    short_probability: float,
    duplicates: int,
    cased: bool,
    document_separator: str,
    seed: int,
) -> BuildSettings:
    if sequence_length < 8:
        raise UsageError(f"sequence_length must be at least 8. Received: sequence_length={sequence_length}")
    if masking not in MASKINGS:
        raise UsageError(f"masking must be one of {', '.join(MASKINGS)}. Received: masking={masking!r}")
    if document_separator not in documents_.SEPARATORS:
        raise UsageError(
            f"document_separator must be one of {', '.join(documents_.SEPARATORS)}. Received: {document_separator!r}"
        )
    if not 0 <= short_probability <= 1:
        raise UsageError(f"short_probability must be in [0, 1]. Received: {short_probability}")
    if duplicates < 1:
        raise UsageError(f"duplicates must be at least 1. Received: duplicates={duplicates}")
    if max_predictions is None:
        max_predictions = default_predictions(sequence_length, mask_probability)
    return BuildSettings(
        pairs=PairSettings(sequence_length, short_probability),
        masking=MaskingSettings(mask_probability, max_predictions, whole_words),
        static=masking == "static",
        duplicates=duplicates,
        lowercase=not cased,
        separator=document_separator,
        seed=seed,
    )


def _prepare_folder(folder: Path) -> None:
    """Makes the output folder; what an unfinished build left in it is removed."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--output must be a new or empty folder. {folder} is a file")
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / manifest_.FILE_NAME).exists():
        raise UsageError(f"{folder} holds a corpus already; choose another --output, or remove it")
    left = list(folder.iterdir())
    foreign = [p for p in left if not _OWN_FILE.fullmatch(p.name)]
    if foreign:
        raise UsageError(f"--output must be a new or empty folder. {folder} holds {foreign[0].name}")
    for path in left:
        path.unlink()


@dataclasses.dataclass(frozen=True)
class _Chunk:
    """The records of one chunk of documents."""

    data: bytes
    counts: Counter[str]
    lengths: Counter[int]
    """Of the examples, in tokens."""


def _shards(
    results: Iterator[_Chunk], counts: Counter[str], progress: Progress | None, total: int
) -> Iterator[Iterator[_Chunk]]:
    """Groups chunks to shards of about _SHARD_EXAMPLES examples, adding up what they hold."""

    def members(chunk: _Chunk | None) -> Iterator[_Chunk]:
        examples = 0
        while chunk is not None:
            counts.update(chunk.counts)
            if progress:
                progress(counts["bytes"], total)
            yield chunk
            examples += chunk.counts["examples"]
            if examples >= _SHARD_EXAMPLES:
                return
            chunk = next(results, None)

    while (first := next(results, None)) is not None:
        yield members(first)


def _run(
    chunks: Iterator[list[Document]], vocabulary: Vocabulary, settings: BuildSettings, workers: int
) -> Iterator[_Chunk]:
    """Builds chunks in `workers` processes; results come in the order of the text."""
    if workers == 1:
        builder = _ChunkBuilder(vocabulary, settings)
        for index, chunk in enumerate(chunks):
            yield builder(index, chunk)
        return
    # Not fork: the caller may have threads (TensorFlow's), which a forked process would lack.
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(
        workers, context, initializer=_start_worker, initargs=(vocabulary.tokens, settings)
    ) as pool:
        pending: deque[concurrent.futures.Future[_Chunk]] = deque()
        try:
            for index, chunk in enumerate(chunks):
                pending.append(pool.submit(_work, index, chunk))
                if len(pending) > 2 * workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


_worker_builder: _ChunkBuilder | None = None
"""Of a worker process: made once, so that its cache of words lasts."""


def _start_worker(tokens: Sequence[str], settings: BuildSettings) -> None:
    global _worker_builder
    _worker_builder = _ChunkBuilder(Vocabulary(tokens), settings)


def _work(index: int, chunk: list[Document]) -> _Chunk:
    assert _worker_builder is not None
    return _worker_builder(index, chunk)


class _ChunkBuilder:
    """Makes the records of a chunk: a pure function of the chunk, its index and the settings."""

    def __init__(self, vocabulary: Vocabulary, settings: BuildSettings) -> None:
        self.settings = settings
        self.tokenizer = Tokenizer(vocabulary, lowercase=settings.lowercase)
        self.masker = Masker(vocabulary, settings.masking)

    def __call__(self, index: int, chunk: Sequence[Document]) -> _Chunk:
        settings = self.settings
        segments = [self._segments(document) for document in chunk]
        rng = random.Random(f"kbert corpus {settings.seed} {index}")
        pairs: list[Pair] = []
        if sum(map(bool, segments)) >= 2:
            for _ in range(settings.duplicates):
                pairs += make_pairs(segments, rng, settings.pairs)
        rng.shuffle(pairs)
        ids, type_ids = self._assemble(pairs)
        labels = [int(pair.is_random) for pair in pairs]
        if settings.static:
            encoded = self._masked_examples(ids, type_ids, labels, index)
        else:
            encoded = self._plain_examples(ids, type_ids, labels)
        counts = Counter(
            bytes=sum(document.size for document in chunk),
            documents=len(chunk),
            segments=sum(map(len, segments)),
            tokens=sum(len(segment) for document in segments for segment in document),
            examples=len(pairs),
            random_next=sum(labels),
            example_tokens=sum(map(len, ids)),
        )
        return _Chunk(records.compress_records(encoded), counts, Counter(map(len, ids)))

    def _segments(self, document: Document) -> list[list[int]]:
        """The sentences of a document as ids; one that is longer than an example is cut, nothing is lost."""
        longest = self.settings.pairs.room
        segments = []
        for line in document.lines:
            for sentence in split_sentences(line):
                ids = self.tokenizer.ids(sentence)
                for start in range(0, len(ids), longest):
                    segments.append(ids[start : start + longest])
        return segments

    def _assemble(self, pairs: Sequence[Pair]) -> tuple[list[list[int]], list[list[int]]]:
        """[CLS] first [SEP] second [SEP] and the type of each token, without padding."""
        vocabulary = self.tokenizer.vocabulary
        begin, end = [vocabulary.classification_id], [vocabulary.separator_id]
        ids = [begin + pair.first + end + pair.second + end for pair in pairs]
        type_ids = [[0] * (len(pair.first) + 2) + [1] * (len(pair.second) + 1) for pair in pairs]
        return ids, type_ids

    def _plain_examples(
        self, ids: Sequence[list[int]], type_ids: Sequence[list[int]], labels: Sequence[int]
    ) -> Iterator[bytes]:
        for row, types, label in zip(ids, type_ids, labels, strict=True):
            yield records.encode_example(
                {
                    features.INPUT_WORD_IDS.name: row,
                    features.INPUT_TYPE_IDS.name: types,
                    features.NEXT_SENTENCE_LABELS.name: [label],
                }
            )

    def _masked_examples(
        self, ids: Sequence[list[int]], type_ids: Sequence[list[int]], labels: Sequence[int], index: int
    ) -> Iterator[bytes]:
        length = self.settings.pairs.sequence_length
        padded = np.full((len(ids), length), self.tokenizer.vocabulary.pad_id, np.int32)
        for row, values in enumerate(ids):
            padded[row, : len(values)] = values
        masked = self.masker(padded, np.random.default_rng([self.settings.seed, index]))
        for row, types in enumerate(type_ids):
            count = len(types)
            yield records.encode_example(
                {
                    features.INPUT_WORD_IDS.name: masked.input_word_ids[row],
                    features.INPUT_MASK.name: [1] * count + [0] * (length - count),
                    features.INPUT_TYPE_IDS.name: types + [0] * (length - count),
                    features.MASKED_LM_POSITIONS.name: masked.masked_lm_positions[row],
                    features.MASKED_LM_IDS.name: masked.masked_lm_ids[row],
                    features.MASKED_LM_WEIGHTS.name: masked.masked_lm_weights[row],
                    features.NEXT_SENTENCE_LABELS.name: [labels[row]],
                }
            )
