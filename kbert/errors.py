"""What can go wrong, as a tree of exceptions.

    KbertError                     base of all; `exit_code` is what the command line ends with
    ├── UsageError                 options that do not fit together (exit code 2)
    │   └── OptionError            (kbert.options) an option with an invalid value
    ├── DataError                  a file of the user's holds something else than expected
    │   ├── VocabularyError        ... a vocabulary file
    │   └── RecordError            ... a shard of records
    ├── ConfigError                a model configuration that cannot be
    ├── BundleError                a model folder that is incomplete or contradicts itself
    ├── HubError                   a model of the Hugging Face Hub cannot be had
    ├── CheckpointError            no checkpoint of a run can be read
    ├── TrainingError              training cannot go on (for example, the loss is not a number)
    ├── ExportError                a model cannot be exported
    │   └── ParityError            ... or converted: the outcome disagrees with the model it was made from
    ├── ServingError               a server cannot start
    └── RequestError               (kbert.serving) a request that cannot be answered

A message is one line: what was expected, what was received, the way out.
"""

from __future__ import annotations

import os


def shown(value: object) -> str:
    """A value of an untrusted file, fit for a message: its `repr` on one line, cut where it is long."""
    try:
        text = repr(value)
    except ValueError:  # Python does not print whole numbers of thousands of digits
        text = f"a {type(value).__name__}"
    return text if len(text) <= 100 else f"{text[:100]}…"


class KbertError(Exception):
    """Base of every error that kbert raises on purpose."""

    exit_code = 1


class UsageError(KbertError):
    """Options or arguments that do not fit together."""

    exit_code = 2


class DataError(KbertError):
    """A user's file holds something else than expected.

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
    """A vocabulary file that cannot be used."""


class RecordError(DataError):
    """A shard of records that is damaged or holds other features than expected."""


class ConfigError(KbertError):
    """A model configuration that cannot be."""


class BundleError(KbertError):
    """A model folder that is incomplete or contradicts itself."""


class HubError(KbertError):
    """A model of the Hugging Face Hub cannot be had."""


class CheckpointError(KbertError):
    """No checkpoint of a run can be read."""


class TrainingError(KbertError):
    """Training cannot go on."""


class ExportError(KbertError):
    """A model cannot be exported."""


class ParityError(ExportError):
    """An export or a conversion gives other answers than the model it was made from; nothing was written."""


class ServingError(KbertError):
    """A server cannot start."""
