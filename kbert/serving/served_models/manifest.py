"""The description of a model that `kbert export` puts into a version folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PATH = "assets.extra/kbert.json"


def read_manifest(folder: Path) -> Mapping[str, Any] | None:
    """Returns the manifest of a version; None if it has no valid one, as models of other programs.

    Args:
        folder: The folder of the version.
    """
    try:
        manifest = json.loads((folder / PATH).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return manifest if isinstance(manifest, dict) and isinstance(manifest.get("task"), str) else None
