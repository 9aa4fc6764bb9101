"""JSON files: written atomically, and read with the caller's class of errors."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kbert.errors import KbertError
from kbert.files.atomic import write_text
from kbert.files.paths import PathLike

_SURROGATE = re.compile("[\ud800-\udfff]")


def write_json(target: PathLike, value: Any) -> None:
    """Replaces the content of `target` by `value` as indented JSON, atomically; keys keep their order.

    Text that is not valid in UTF-8, such as the name of a file in another encoding, is written with escapes.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False)
    if _SURROGATE.search(text):
        text = json.dumps(value, indent=2)
    write_text(target, text + "\n")


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
