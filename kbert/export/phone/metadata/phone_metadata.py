"""What the metadata of a model for phones says: the vocabulary, the labels, the calibration, and texts for people."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from kbert.errors import UsageError, shown
from kbert.text.vocabulary import Vocabulary

_NOT_IN_A_LINE = ("\n", "\r", "\0")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PhoneMetadata:
    r"""The metadata of a model that reads one text, or a question and a context.

    Args:
        name: The name of the model.
        vocabulary: The vocabulary of the model's tokenizer. Its pieces are packed with the model; added tokens are not,
            since the programs on phones do not find them in text.
        description: What the model does, in a sentence.
        labels: The names of the classes in the order of the output's values, for models that classify; else None.
        exclusive: Whether each text has exactly one of the labels, so that their probabilities add up to 1.
        temperature: The number by which logits are to be divided to calibrate the probabilities. Numbers other than 1
            are possible for two exclusive labels, and for labels that do not exclude each other.
        author: The author of the model.
        license: The license of the model.
        version: The version of the model.

    Raises:
        UsageError: There are no labels, a label is empty or contains a line break, or the temperature cannot be
            written.

    Example:
        >>> metadata = PhoneMetadata(name="films", vocabulary=Vocabulary.from_file("vocab.txt"), labels=("bad", "good"))
        >>> metadata.files
        {'vocab.txt': b'[PAD]\n[UNK]\n...', 'labels.txt': b'bad\ngood'}
    """

    name: str
    vocabulary: Vocabulary
    description: str = ""
    labels: tuple[str, ...] | None = None
    exclusive: bool = True
    temperature: float = 1.0
    author: str = ""
    license: str = ""
    version: str = ""

    def __post_init__(self) -> None:
        if self.labels is not None:
            _check_labels(self.labels)
        if not 0 < self.temperature < float("inf"):
            raise UsageError(f"temperature must be a number above 0. Received: temperature={self.temperature}")
        if self.temperature == 1:
            return
        if self.labels is None:
            raise UsageError(
                f"temperature is for models with labels. Received: temperature={self.temperature} without labels"
            )
        if self.exclusive and len(self.labels) != 2:
            raise UsageError(
                "the metadata can calibrate two labels, or labels that do not exclude each other, by a temperature. "
                f"Received: temperature={self.temperature} for {len(self.labels)} exclusive labels; divide the logits "
                "by it in the model"
            )

    @property
    def is_calibrated(self) -> bool:
        """Whether the metadata calibrates the probabilities."""
        return self.temperature != 1

    @property
    def files(self) -> dict[str, bytes]:
        """The files that are packed with the model, by name, in UTF-8."""
        # MediaPipe skips blank lines, so that later tokens would have other ids. Google's bert-base-chinese has one.
        contents = {VOCABULARY_FILE: _lines(self.vocabulary.distinct_pieces)}
        if self.labels is not None:
            contents[LABELS_FILE] = _lines(self.labels)
            if self.is_calibrated:
                # With g(p) = log(p / (1 - p)), the calibrated probability is sigmoid(g(p) / temperature). This is the
                # probability of logits that are divided by the temperature.
                contents[CALIBRATION_FILE] = _lines([f"1,{1 / self.temperature:.9g},0"] * len(self.labels))
        return contents


VOCABULARY_FILE = "vocab.txt"
LABELS_FILE = "labels.txt"
CALIBRATION_FILE = "score_calibration.txt"


def _lines(lines: Sequence[str]) -> bytes:
    # MediaPipe refuses a calibration file with a line break at its end, so no file has one.
    return "\n".join(lines).encode("utf-8")


def _check_labels(labels: tuple[str, ...]) -> None:
    if not labels:
        raise UsageError("labels must be one or more. Received: none")
    for number, label in enumerate(labels, start=1):
        if not label or any(character in label for character in _NOT_IN_A_LINE):
            raise UsageError(
                "labels must be lines of text for the file of labels in a model for phones, without line breaks. "
                f"Received: {shown(label)} as label {number}; export without metadata, with --metadata none"
            )
