"""Reads and writes manifest.json, which describes a folder of records and how it was built."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kbert import files
from kbert.errors import KbertError, RecordError, UsageError
from kbert.text.settings import TokenizerSettings, settings_from_dict

FILE_NAME = "manifest.json"
VOCABULARY_FILE = "vocab.txt"
FORMAT_VERSION = 1


@dataclasses.dataclass(frozen=True)
class Shard:
    """A file of records.

    Args:
        file: The file name in the folder.
        examples: The number of records.
        sha256: The SHA-256 of the file.
        lengths: The number of examples of each length, as "tokens:examples" separated by spaces. Packing is planned
            from it. Empty in older corpora.
    """

    file: str
    examples: int
    sha256: str
    lengths: str = ""

    def length_counts(self) -> list[int]:
        """Returns a list with the number of examples of n tokens at index n."""
        pairs = [tuple(map(int, pair.split(":"))) for pair in self.lengths.split()]
        counts = [0] * (1 + max((length for length, _ in pairs), default=0))
        for length, count in pairs:
            counts[length] = count
        return counts


def write_lengths(counts: Mapping[int, int]) -> str:
    """Returns the value of `Shard.lengths` for these numbers of examples by length."""
    return " ".join(f"{length}:{count}" for length, count in sorted(counts.items()))


@dataclasses.dataclass(frozen=True)
class Input:
    """A text file that the corpus was built from.

    Args:
        path: The path that the user passed.
        size: The size in bytes.
        modified: The time of the last modification, in nanoseconds.
        sha256: The SHA-256 of the file.
    """

    path: str
    size: int
    modified: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Manifest:
    """The description of a corpus folder.

    Args:
        lowercase: Whether the text was lower-cased.
        vocabulary_sha256: The SHA-256 of the vocab.txt that the ids belong to.
        sequence_length: The maximum length of an example in tokens.
        max_predictions: The maximum number of predictions per example.
        masking: "dynamic" if the records hold plain ids, "static" if they are masked.
        settings: All options that the records depend on. "tokenizer" holds the `TokenizerSettings`; it is missing in
            older corpora.
        counts: The numbers of bytes, documents, segments, tokens, unknown (tokens that are [UNK]), examples,
            example_tokens, and the examples with label 1 as random_next (objective "nsp") or swapped ("sop"). If there
            are any, also long_words (words over the tokenizer's limit) and word_continuations (tokens that continue a
            word of the word list), and masked_KIND (personal data of a kind that was replaced).
        shards: The files of records, in order.
        kbert_version: The version of kbert that built the corpus.
        objective: "nsp", "sop" or "none"; determines the meaning of the label.
        inputs: The text files that the corpus was built from, in order.
        versions: The versions of Python and of the libraries that the bytes depend on.
        format_version: The version of the format; it changes when readers have to change.
    """

    lowercase: bool
    vocabulary_sha256: str
    sequence_length: int
    max_predictions: int
    masking: str
    settings: dict[str, Any]
    counts: dict[str, int]
    shards: list[Shard]
    kbert_version: str
    objective: str = "nsp"
    inputs: list[Input] = dataclasses.field(default_factory=list)
    versions: dict[str, str] = dataclasses.field(default_factory=dict)
    format_version: int = FORMAT_VERSION

    @property
    def tokenizer(self) -> TokenizerSettings:
        """The settings that the text was tokenized with."""
        values = self.settings.get("tokenizer")
        return TokenizerSettings(lowercase=self.lowercase) if values is None else settings_from_dict(values)

    @property
    def examples(self) -> int:
        """The number of examples."""
        return sum(shard.examples for shard in self.shards)

    def save(self, folder: Path) -> None:
        """Writes manifest.json, which is the last step of a build: a folder without it is not a corpus."""
        files.write_json(folder / FILE_NAME, dataclasses.asdict(self))

    @classmethod
    def load(cls, folder: files.PathLike) -> Manifest:
        """Reads the manifest of a corpus folder.

        Raises:
            RecordError: The folder is not a finished corpus.
        """
        path = Path(folder) / FILE_NAME

        def error(problem: str) -> KbertError:
            return RecordError(f"expected a corpus made by `kbert corpus build`, but {problem}", folder)

        values = files.read_json(path, error)
        try:
            if values["format_version"] != FORMAT_VERSION:
                raise error(
                    f"its format_version is {values['format_version']}, not {FORMAT_VERSION} as this kbert reads; "
                    "build it again"
                )
            shards = [Shard(**shard) for shard in values.pop("shards")]
            inputs = [Input(**item) for item in values.pop("inputs", [])]
            manifest = cls(shards=shards, inputs=inputs, **values)
            _ = manifest.tokenizer
            return manifest
        except UsageError as problem:
            raise error(f"{FILE_NAME} has an invalid setting: {problem}") from None
        except (KeyError, TypeError, AttributeError) as problem:
            raise error(f"{FILE_NAME} has a missing or unknown setting: {problem}") from None

    def identity(self) -> dict[str, Any]:
        """Returns everything that the records depend on; a build can be resumed only if it is the same."""
        return {
            "kbert_version": self.kbert_version,
            "vocabulary_sha256": self.vocabulary_sha256,
            "inputs": [[item.path, item.size, item.modified] for item in self.inputs],
            "settings": self.settings,
        }

    def fingerprint(self) -> str:
        """Returns a string that is equal for manifests of equal records, which training depends on."""
        shards = [dataclasses.astuple(shard) for shard in self.shards]
        return json.dumps([self.format_version, self.masking, self.vocabulary_sha256, shards])
