"""The pooling, the prompts and the longest input of a model that the fine-tuning of vectors starts from."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from kbert import files
from kbert.errors import BundleError
from kbert.files import PathLike
from kbert.model_folder.file_names import SETTINGS_FILE
from kbert.model_folder.sentence_files import read_modules
from kbert.model_folder.sentence_transformers import EMBEDDER

_LOG = logging.getLogger("kbert")


def starting_task(kind: Any, folder: PathLike) -> Any:
    """Returns the task of a model folder for embedding, read without its weights; None for other folders.

    Args:
        kind: The class `EmbeddingTask`.
        folder: The model folder.

    Raises:
        BundleError: kbert.json is damaged.
    """
    settings = Path(folder) / SETTINGS_FILE
    if settings.is_file():
        values = files.read_json(settings, BundleError)
        values = values if isinstance(values, dict) else {}
        if saved := values.get("task"):  # a kbert.json without a task is ignored
            return _own_task(kind, saved, values.get("sequence_length"), folder)
    modules = read_modules(folder)
    if modules is None or modules.kind != EMBEDDER:
        return None
    if modules.unsupported is not None:
        _LOG.info("%s has %s, which kbert does not compute: only its encoder is used", folder, modules.unsupported)
        return None
    return kind.of_modules(modules)


def _own_task(kind: Any, saved: Any, length: Any, folder: PathLike) -> Any:
    """Returns the embedding task in a kbert.json, with its longest input; None if the task is another."""
    if not isinstance(saved, dict) or saved.get("name") != kind.name:
        return None
    try:
        task = kind.from_settings(saved)
    except (KeyError, TypeError, ValueError) as problem:
        raise BundleError(f"{folder}: the task in kbert.json cannot be used ({problem!s:.200})") from None
    task.longest_input = length if isinstance(length, int) and length > 0 else None
    return task
