"""The tree of exceptions.

    KbertError                     base of all; `exit_code` is the exit code of the command line
    ├── UsageError                 options that are invalid, or contradict each other (exit code 2)
    │   └── OptionError            (kbert.options) an option with an invalid value
    ├── DataError                  a file of the user has invalid content
    │   ├── VocabularyError        ... a vocabulary file
    │   └── RecordError            ... a shard of records
    ├── ConfigError                an invalid model configuration
    ├── BundleError                a model folder that is incomplete or contradicts itself
    ├── HubError                   a model of the Hugging Face Hub is not available
    ├── CheckpointError            a run has no checkpoint that can be read
    ├── TrainingError              training cannot continue (for example, the loss is not a number)
    ├── ExportError                a model cannot be exported
    │   └── ParityError            an export or conversion gives other answers than the model it was made from
    ├── ServingError               a server cannot start
    └── RequestError               (kbert.serving) an invalid request to a server

A message is one line: what was expected, what was received, the way out.
"""

from __future__ import annotations

import os


def shown(value: object) -> str:
    """Returns a value of an untrusted file, fit for a message: its `repr` on one line, cut where it is long."""
    try:
        text = repr(value)
    except ValueError:  # Python does not print whole numbers of thousands of digits
        text = f"a {type(value).__name__}"
    return cut(text, 100)


def cut(text: str, most: int) -> str:
    """Returns a text for a message; if it has more than `most` characters, the rest is replaced by an ellipsis."""
    return text if len(text) <= most else f"{text[:most]}…"


class KbertError(Exception):
    """Base of every error that kbert raises on purpose."""

    exit_code = 1


class UsageError(KbertError):
    """Options or arguments that are invalid, or contradict each other."""

    exit_code = 2


class DataError(KbertError):
    """A file of the user has invalid content.

    Args:
        message: What was expected, what was received, the way out.
        path: The file, if there is one.
        line: The 1-based line in it, if there is one.
    """

    def __init__(self, message: str, path: str | os.PathLike[str] | None = None, line: int | None = None) -> None:
        self.path = None if path is None else os.fspath(path)
        self.line = line
        where = "" if self.path is None else f"{self.path}: " if line is None else f"{self.path}:{line}: "
        super().__init__(where + message)


class VocabularyError(DataError):
    """An invalid vocabulary file."""


class RecordError(DataError):
    """A shard of records that is damaged, or has other features than expected."""


class ConfigError(KbertError):
    """An invalid model configuration."""


class BundleError(KbertError):
    """A model folder that is incomplete or contradicts itself."""


class HubError(KbertError):
    """A model of the Hugging Face Hub is not available."""


class CheckpointError(KbertError):
    """A run has no checkpoint that can be read."""


class TrainingError(KbertError):
    """Training cannot continue."""


class ExportError(KbertError):
    """A model cannot be exported."""


class ParityError(ExportError):
    """An export or a conversion gives other answers than the model it was made from; nothing was written."""


class ServingError(KbertError):
    """A server cannot start."""
