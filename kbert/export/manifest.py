"""The manifest of an exported version, from which servers and people learn what the model does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kbert import files
from kbert.errors import BundleError
from kbert.model_folder.card import licenses_of
from kbert.model_folder.file_names import SETTINGS_FILE
from kbert.model_folder.hub import resolve
from kbert.prediction.predictor import Predictor
from kbert.version import __version__

MANIFEST_FILE = "kbert.json"
FORMAT = 1
"""The version of the keys of the manifest."""


def manifest(loaded: Predictor, model: files.PathLike, command: Sequence[str] | None) -> dict[str, Any]:
    """Returns the content of the manifest.

    Its keys are "format"; "kbert", the version of kbert; "task"; "text_inputs", the names of the inputs of
    `serving_default`; "labels", those of the task or None; "vocabulary_sha256", the SHA-256 of vocab.txt; "metrics",
    the numbers that fine-tuning measured on the validation file, or None; "command", or None; and "license" and
    "data_licenses" if they are known. The manifest of a model that abstains also has "abstain_below", the least
    probability of an answer that is given.

    Args:
        loaded: The exported model.
        model: The model folder, whose kbert.json has the metrics if the model was fine-tuned.
        command: The command line that exports the model, word by word; None in Python.

    Raises:
        BundleError: kbert.json is damaged.
    """
    labels = getattr(loaded.task, "labels", None)
    threshold = getattr(loaded.task, "abstain_below", 0.0)
    return {
        "format": FORMAT,
        "kbert": __version__,
        "task": loaded.task.name,
        "text_inputs": [text.name for text in loaded.task.text_inputs],
        "labels": None if labels is None else list(labels),
        "vocabulary_sha256": loaded.tokenizer.vocabulary.sha256(),
        "metrics": _metrics(Path(resolve(model))),
        "command": None if command is None else list(command),
        **({"abstain_below": threshold} if threshold else {}),
        **licenses_of(resolve(model)),
    }


def _metrics(folder: Path) -> dict[str, float] | None:
    """Returns the metrics in kbert.json that are single, finite numbers; None if there are none."""
    path = folder / SETTINGS_FILE
    settings = files.read_json(path, BundleError) if path.exists() else {}
    metrics = settings.get("metrics") if isinstance(settings, dict) else None
    if not isinstance(metrics, dict):
        return None
    numbers = {
        name: value
        for name, value in metrics.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }
    return numbers or None
