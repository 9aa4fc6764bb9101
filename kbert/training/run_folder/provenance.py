"""The provenance of a run: digests of its files and data, and the licenses of what it was made from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kbert import files
from kbert.errors import KbertError
from kbert.model_folder.bundle import is_bundle
from kbert.model_folder.card import licenses_of
from kbert.model_folder.hub import is_hub_name, resolve
from kbert.model_folder.provenance import write_provenance
from kbert.sources.content import content_sha256
from kbert.sources.memory_table import as_table
from kbert.training.options import TrainingOptions
from kbert.training.run_folder.runs import CHECKPOINT_FOLDER, ROUNDS_FOLDER, SAMPLES_FILE, WORST_EXAMPLES_FILE

_DATA = ("train", "validation", "corpus", "validation_corpus", "unlabelled")
_IGNORED = (CHECKPOINT_FOLDER, ROUNDS_FOLDER, SAMPLES_FILE, WORST_EXAMPLES_FILE, "tensorboard", "report.html")
_MANIFEST = "manifest.json"
"""The file that holds the digests of all shards of a corpus."""


def write_run_provenance(folder: Path, command: str, options: TrainingOptions) -> None:
    """Writes provenance.json, as the last file of a run.

    Args:
        folder: The folder of the run.
        command: The command, such as "pretrain".
        options: The options of the run.
    """
    data = {name: _entries(getattr(options, name, None), name) for name in _DATA}
    if getattr(options, "private", None) is not None:
        # A digest would tell whether a row is among the training data, to one who knows all others.
        data["train"] = [{"name": entry["name"]} for entry in data["train"]]
    given = {name: entries for name, entries in data.items() if entries}
    write_provenance(folder, command=command, data=given, ignored=_IGNORED)


def license_settings(options: TrainingOptions) -> dict[str, Any]:
    """Returns "license" and "data_licenses" for kbert.json, as far as they are known.

    The license is the one that the options give, or else that of the model that training started from, and the
    licenses of the data are those of this run and of that model.

    Args:
        options: The options of the run.
    """
    base: dict[str, Any] = {}
    if is_hub_name(options.model) or is_bundle(options.model):
        base = licenses_of(resolve(options.model))
    settings: dict[str, Any] = {}
    if options.license or base.get("license"):
        settings["license"] = options.license or base["license"]
    data = list(dict.fromkeys((*base.get("data_licenses", ()), *options.data_licenses)))
    if data:
        settings["data_licenses"] = data
    return settings


def _entries(value: Any, name: str) -> list[dict[str, str]]:
    """Returns the name and the digest of each file, corpus or table that an option names."""
    if value is None:
        return []
    if as_table(value, name) is not None:
        return [{"name": "a table in memory", "sha256": content_sha256(value, name)}]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [entry for each in value for entry in _entries(each, name)]
    path = Path(os.fspath(value))
    try:
        manifest = path / _MANIFEST
        digest = files.file_sha256(manifest) if manifest.is_file() else content_sha256(value, name)
    except (KbertError, OSError):  # a pattern of several files, or a file that was removed during the run
        return [{"name": path.name}]
    return [{"name": path.name, "sha256": digest}]
