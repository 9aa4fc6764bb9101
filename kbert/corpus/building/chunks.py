"""Builds the records of a chunk of documents, as a pure function of the chunk, its number and the settings."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kbert import features
from kbert.corpus.masking import Masker, MaskingSettings
from kbert.corpus.pairs import Pairs, PairSettings, make_pairs
from kbert.corpus.records import encoding as records
from kbert.corpus.sentences import SentenceSettings, document_sentences
from kbert.corpus.word_list import WordFinder
from kbert.sources.document import Document
from kbert.sources.settings import SourceSettings
from kbert.text.bulk_tokenizer import BulkTokenizer
from kbert.text.personal_data.masker import Masker as PersonalDataMasker
from kbert.text.settings import TokenizerSettings
from kbert.text.tokenizer import Tokenizer
from kbert.text.vocabulary import Vocabulary

_ORIGINAL_NAMES = {features.INPUT_WORD_IDS.name: "input_ids", features.INPUT_TYPE_IDS.name: "segment_ids"}
"""The feature names in google-research/bert, and in the Model Garden with use_v2_feature_names off."""

_EXAMPLES_AT_ONCE = 8192
"""The number of examples that are assembled at once, which bounds memory even with many passes over a chunk."""
_MASKED = "masked_"
"""The beginning of the keys of the numbers of replaced personal data, before the kind."""
_LABEL_COUNTS = {"nsp": "random_next", "sop": "swapped"}
"""The key of the number of examples with label 1, by objective."""


@dataclasses.dataclass(frozen=True)
class BuildSettings:
    """All settings that the records depend on, in addition to the text, the vocabulary and the word list."""

    pairs: PairSettings
    masking: MaskingSettings
    static: bool
    """Whether examples are masked when the corpus is built, rather than anew in each epoch of training."""
    duplicates: int
    """The number of passes over the text, each with other pairs (and other masks)."""
    tokenizer: TokenizerSettings
    source: SourceSettings
    sentences: SentenceSettings
    feature_names: str
    compressed: bool
    word_list: str | None
    """The SHA-256 of the word list, or None if there is none."""
    seed: int
    mask_pii: bool = False
    """Whether personal data is replaced before sentences are split."""

    def facts(self) -> dict[str, Any]:
        """Returns the settings as JSON values for the manifest.

        Settings that older manifests do not have are left out if they have their default.
        """
        facts = {**dataclasses.asdict(self), "source": self.source.facts()}
        if not self.mask_pii:
            del facts["mask_pii"]
        return facts


@dataclasses.dataclass(frozen=True)
class Chunk:
    """The framed, optionally compressed records of a chunk of documents, and its counts (see `Manifest.counts`)."""

    data: bytes
    counts: Counter[str]
    lengths: Counter[int]
    """The number of examples of each length in tokens."""


class ChunkBuilder:
    """Builds the records of chunks.

    Args:
        vocabulary: The vocabulary to tokenize with, including the added tokens of the settings.
        settings: All settings that the records depend on.
        words: The word list for whole-word masking, for languages such as Chinese whose token ids do not show words.
    """

    def __init__(self, vocabulary: Vocabulary, settings: BuildSettings, words: Sequence[str] = ()) -> None:
        self.settings = settings
        self.vocabulary = vocabulary
        tokenizer = Tokenizer.from_settings(vocabulary, settings.tokenizer)
        self._tokenizer = BulkTokenizer(tokenizer)
        self._finder = WordFinder(words, tokenizer) if words else None
        self._masker = Masker(vocabulary, settings.masking)

    def __call__(self, index: int, documents: Sequence[Document]) -> Chunk:
        """Builds chunk number `index` from its documents."""
        counts = Counter(bytes=sum(document.size for document in documents), documents=len(documents))
        lengths: Counter[int] = Counter()
        compressed = self.settings.compressed
        parts = [
            records.join_records(encoded, compressed=compressed)
            for encoded in self.examples(index, documents, counts, lengths)
        ]
        return Chunk(b"".join(parts), counts, lengths)

    def examples(
        self, index: int, documents: Sequence[Document], counts: Counter[str], lengths: Counter[int]
    ) -> Iterator[list[bytes]]:
        """Yields the serialized examples of a chunk in lists of some thousand, and adds to the counters.

        Args:
            index: The number of the chunk, which seeds all random choices together with the seed of the settings.
            documents: The documents of the chunk.
            counts: The counter to add to; see `Manifest.counts` for the keys.
            lengths: The counter of examples by length to add to.
        """
        settings = self.settings
        if settings.mask_pii:
            documents = _without_personal_data(documents, counts)
        long_words = self._tokenizer.long_words
        ids, segment_ends, document_ends = self._tokenize(documents)
        if self._tokenizer.long_words > long_words:
            counts["long_words"] += self._tokenizer.long_words - long_words
        continuations = None
        if self._finder:
            continuations = self._finder.continuations(ids, segment_ends)
            counts["word_continuations"] += int(continuations.sum())
        rng = random.Random(f"kbert corpus {settings.seed} {index}")
        pairs = make_pairs(
            segment_ends.tolist(), document_ends.tolist(), rng, settings.pairs, passes=settings.duplicates
        ).shuffled(rng)
        generator = np.random.default_rng([settings.seed, index])
        counts.update(
            segments=len(segment_ends),
            tokens=len(ids),
            unknown=int(np.count_nonzero(ids == self.vocabulary.unk_id)),
            examples=len(pairs),
        )
        if settings.pairs.objective in _LABEL_COUNTS:
            counts[_LABEL_COUNTS[settings.pairs.objective]] += int(pairs.labels.sum())
        for begin in range(0, len(pairs), _EXAMPLES_AT_ONCE):
            part = Pairs(*(a[begin : begin + _EXAMPLES_AT_ONCE] for a in (pairs.places, pairs.labels)))
            rows = self._assemble(ids, continuations, part)
            row_ids, ends = rows[features.INPUT_WORD_IDS.name]
            counts.update(example_tokens=len(row_ids))
            lengths.update(np.diff(ends, prepend=0).tolist())
            if settings.static:
                rows = self._mask(rows, generator)
            if settings.feature_names == "original":
                rows = {_ORIGINAL_NAMES.get(name, name): values for name, values in rows.items()}
            yield records.encode_examples(rows)

    def _tokenize(self, documents: Sequence[Document]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Tokenizes documents into segments.

        A segment is a sentence, or a part of a sentence that is longer than an example. No tokens are lost.

        Returns:
            The ids of all segments, concatenated; the end of each segment in them; and the number of segments up to the
            end of each document.
        """
        sentences: list[str] = []
        document_ends = []
        for document in documents:
            sentences += document_sentences(document.lines, self.settings.sentences)
            document_ends.append(len(sentences))
        ids, ends = self._tokenizer.ids(sentences)
        lengths = np.diff(ends, prepend=0)
        room = self.settings.pairs.room
        parts = -(-lengths // room)
        # Each part ends `room` tokens after its beginning, the last part of a sentence where the sentence ends. Empty
        # sentences have no part.
        number = np.arange(parts.sum()) - np.repeat(np.cumsum(parts) - parts, parts)
        segment_ends = np.minimum(np.repeat(ends - lengths, parts) + (number + 1) * room, np.repeat(ends, parts))
        return ids, segment_ends, np.concatenate([[0], np.cumsum(parts)])[document_ends]

    def _assemble(self, ids: np.ndarray, continuations: np.ndarray | None, pairs: Pairs) -> Mapping[str, records.Rows]:
        """Returns the features of examples without padding: [CLS] first [SEP] second [SEP], or [CLS] text [SEP]."""
        vocabulary = self.vocabulary
        first_begin, first_end, second_begin, second_end = pairs.places.T
        first_lengths, second_lengths = first_end - first_begin, second_end - second_begin
        has_second = second_lengths > 0
        lengths = first_lengths + second_lengths + 2 + has_second
        ends = np.cumsum(lengths)
        begins = ends - lengths
        total = int(lengths.sum())
        source = np.concatenate([ranges(first_begin, first_lengths), ranges(second_begin, second_lengths)])
        second_target = ranges(begins + first_lengths + 2, second_lengths)
        target = np.concatenate([ranges(begins + 1, first_lengths), second_target])

        row_ids = np.full(total, vocabulary.sep_id, np.int32)
        row_ids[begins] = vocabulary.cls_id
        row_ids[target] = ids[source]
        types = np.zeros(total, np.uint8)
        types[second_target] = 1
        types[ends[has_second] - 1] = 1
        rows: dict[str, records.Rows] = {
            features.INPUT_WORD_IDS.name: (row_ids, ends),
            features.INPUT_TYPE_IDS.name: (types, ends),
            features.NEXT_SENTENCE_LABELS.name: (pairs.labels, np.arange(1, len(pairs) + 1)),
        }
        if continuations is not None:
            marks = np.zeros(total, np.uint8)
            marks[target] = continuations[source]
            rows[features.WORD_CONTINUATIONS.name] = (marks, ends)
        return rows

    def _mask(self, rows: Mapping[str, records.Rows], rng: np.random.Generator) -> Mapping[str, records.Rows]:
        """Masks examples and pads them to fixed lengths, as in the records of the original release."""
        length = self.settings.pairs.sequence_length
        ids, ends = rows[features.INPUT_WORD_IDS.name]
        lengths = np.diff(ends, prepend=0)
        inside = np.arange(length) < lengths[:, None]

        def padded(name: str, padding: int = 0) -> np.ndarray:
            table = np.full(inside.shape, padding, np.int32)
            table[inside] = rows[name][0]
            return table

        marks = padded(features.WORD_CONTINUATIONS.name) > 0 if self._finder else None
        ids = padded(features.INPUT_WORD_IDS.name, self.vocabulary.pad_id)
        masked = self._masker(ids, rng, word_continuations=marks)
        tables: dict[str, np.ndarray] = {
            features.INPUT_MASK.name: inside.astype(np.uint8),
            features.INPUT_TYPE_IDS.name: padded(features.INPUT_TYPE_IDS.name),
            **dataclasses.asdict(masked),
        }
        fixed = {name: (table.ravel(), np.arange(1, len(table) + 1) * table.shape[1]) for name, table in tables.items()}
        return {**fixed, features.NEXT_SENTENCE_LABELS.name: rows[features.NEXT_SENTENCE_LABELS.name]}


def masked_counts(counts: Mapping[str, int]) -> dict[str, int]:
    """Returns the number of replaced personal data by kind, from the counts of a corpus."""
    return {name.removeprefix(_MASKED): count for name, count in counts.items() if name.startswith(_MASKED)}


def _without_personal_data(documents: Sequence[Document], counts: Counter[str]) -> list[Document]:
    """Returns documents with personal data replaced, and adds the number of replaced values of each kind to `counts`.

    The sizes remain those of the text that was read, by which the progress is told.
    """
    masker = PersonalDataMasker()
    masked = [dataclasses.replace(document, lines=tuple(map(masker.masked, document.lines))) for document in documents]
    counts.update({f"{_MASKED}{kind}": count for kind, count in masker.counts.items()})
    return masked


def ranges(begins: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Returns the integers of several ranges, concatenated."""
    ends = np.cumsum(lengths)
    return np.repeat(begins - (ends - lengths), lengths) + np.arange(ends[-1] if len(ends) else 0)
