"""A run's folder: what it was started with, so that it is only ever continued with the same."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kbert import files
from kbert.errors import BundleError, KbertError, UsageError
from kbert.model_folder.file_names import RUN_FILE

CHECKPOINT_FOLDER = "checkpoints"
ENVIRONMENT_FILE = "environment.json"
SAMPLES_FILE = "samples.jsonl"
LEARNING_RATES_FILE = "lr_finder.json"
WORST_EXAMPLES_FILE = "worst_examples.json"
"""Holds texts of the user's, and so is no part of the model."""
_BEFORE_A_RUN = (LEARNING_RATES_FILE,)
"""What may stand in a folder that a run claims."""


def open_run(
    folder: Path, settings: Mapping[str, Any], *, resume: bool, free: Sequence[str] = (), file: str = RUN_FILE
) -> None:
    """Claims a folder for a run, or checks that it is the folder of the same run.

    Args:
        folder: New or empty, or with `resume` that of an earlier run.
        settings: All that the outcome depends on, and more that is worth knowing; JSON.
        resume: Whether to continue.
        free: Names of settings that may differ when the run is continued.
        file: Where the settings are kept.

    Raises:
        UsageError: The folder holds another run, or something else.
    """
    settings = dict(settings)
    path = folder / file
    if path.exists():
        if not resume:
            raise UsageError(f"{folder} holds a run; add --resume to continue it, or choose another --output")
        before = files.read_json(path, BundleError)
        for name in dict.fromkeys((*settings, *before)):
            if name not in free and settings.get(name) != before.get(name):
                raise UsageError(
                    f"{folder} was started with {name}={before.get(name)!r}. Received: {name}={settings.get(name)!r}; "
                    "resume with the same, or choose another --output"
                )
        return
    files.check_new_folder(folder, ignored=_BEFORE_A_RUN.__contains__, alternative=", or a run to --resume")
    files.write_json(path, settings)


@contextlib.contextmanager
def unclaimed_on_error(folder: Path, file: str, *, is_new: bool) -> Iterator[None]:
    """Gives a folder of several runs free again, if the first of them could not even begin: the command was wrong.

    Args:
        folder: What `open_run` claimed.
        file: Where it keeps the settings.
        is_new: Whether there was no such folder before.
    """
    try:
        yield
    except KbertError:
        if {path.name for path in folder.iterdir()} - {*_BEFORE_A_RUN} == {file}:
            (folder / file).unlink()
            if is_new:
                folder.rmdir()
        raise
