"""JSON files: written atomically, and read with the caller's class of errors."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kbert.errors import KbertError
from kbert.files.atomic import write_text
from kbert.files.paths import PathLike


def write_json(target: PathLike, value: Any) -> None:
    """Replaces the content of `target` by `value` as indented JSON, atomically; keys keep their order."""
    write_text(target, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: PathLike, error: Callable[[str], KbertError]) -> Any:
    """Reads a JSON file.

    Args:
        path: The file.
        error: Makes the exception from its message, if the file is missing or is not JSON.
    """
    try:
        return json.loads(Path(path).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise error(f"{os.fspath(path)} is missing") from None
    except (ValueError, RecursionError) as problem:
        raise error(f"{os.fspath(path)} is not JSON: {problem}") from None
