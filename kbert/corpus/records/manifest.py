"""manifest.json: what a folder of records holds, and how it was made."""

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
    """One file of records.

    Args:
        file: Its name in the folder.
        examples: How many records it holds.
        sha256: Hash of its bytes.
        lengths: How many examples have how many tokens, as "tokens:examples" with spaces between; packing is planned
            from it. Empty in corpora of before.
    """

    file: str
    examples: int
    sha256: str
    lengths: str = ""

    def length_counts(self) -> list[int]:
        """How many examples have n tokens, at n."""
        pairs = [tuple(map(int, pair.split(":"))) for pair in self.lengths.split()]
        counts = [0] * (1 + max((length for length, _ in pairs), default=0))
        for length, count in pairs:
            counts[length] = count
        return counts


def write_lengths(counts: Mapping[int, int]) -> str:
    """`Shard.lengths` from the number of examples of each length."""
    return " ".join(f"{length}:{count}" for length, count in sorted(counts.items()))


@dataclasses.dataclass(frozen=True)
class Input:
    """A file that was read.

    Args:
        path: As it was named.
        size: Its bytes.
        modified: When it was changed, in nanoseconds.
        sha256: Hash of its bytes.
    """

    path: str
    size: int
    modified: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a corpus folder holds.

    Args:
        lowercase: Whether the text was lower-cased.
        vocabulary_sha256: Hash of the vocab.txt that the ids are of.
        sequence_length: Longest example.
        max_predictions: Most predictions an example.
        masking: "dynamic" when the records hold plain ids, "static" when they are masked.
        settings: All options that the records depend on. "tokenizer" holds the `TokenizerSettings`; it is absent in
            older corpora.
        counts: bytes, documents, segments, tokens and the unknown among them, examples, example_tokens, and the
            examples with label 1 as random_next (objective "nsp") or swapped ("sop"). Further, if there are any,
            long_words, which are longer than the tokenizer's limit, and word_continuations, the tokens that continue a
            word of the list of words.
        shards: The files, in order.
        kbert_version: The version that wrote it.
        objective: "nsp", "sop" or "none": what the label says.
        inputs: The files that were read, in order.
        versions: Of what else the bytes depend on.
        format_version: Changes when readers must.
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
        """How the text was tokenized."""
        values = self.settings.get("tokenizer")
        return TokenizerSettings(lowercase=self.lowercase) if values is None else settings_from_dict(values)

    @property
    def examples(self) -> int:
        """How many examples there are."""
        return sum(shard.examples for shard in self.shards)

    def save(self, folder: Path) -> None:
        """Writes manifest.json: the last step, which makes the folder a corpus."""
        files.write_json(folder / FILE_NAME, dataclasses.asdict(self))

    @classmethod
    def load(cls, folder: files.PathLike) -> Manifest:
        """Reads a corpus folder's manifest.

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
            raise error(f"{FILE_NAME} lacks a setting or has an unknown one: {problem}") from None

    def identity(self) -> dict[str, Any]:
        """All that the records depend on, as it is asked for when a build is resumed."""
        return {
            "kbert_version": self.kbert_version,
            "vocabulary_sha256": self.vocabulary_sha256,
            "inputs": [[item.path, item.size, item.modified] for item in self.inputs],
            "settings": self.settings,
        }

    def fingerprint(self) -> str:
        """The part that training depends on, as one string: equal for equal records."""
        shards = [dataclasses.astuple(shard) for shard in self.shards]
        return json.dumps([self.format_version, self.masking, self.vocabulary_sha256, shards])
