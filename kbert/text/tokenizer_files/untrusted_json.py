"""JSON files that are untrusted input: the type of every value in them is checked."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from kbert import files
from kbert.errors import BundleError, shown

_MOST_BYTES = 1 << 27
"""The maximum size of a file, far above that of any vocabulary. Parsed JSON takes some ten times as much memory."""
UNLIMITED = 1 << 31
"""The value from which on an integer means that there is no limit; Transformers writes 10^30 for that."""


@dataclasses.dataclass(frozen=True)
class JsonObject:
    """An untrusted JSON object. A missing file or entry is an object without values.

    Args:
        path: The file, for errors.
        values: The entries of the object.
        present: Whether the file or entry exists.
        name: The prefix of keys in errors: the path of the object in the file, with a dot at the end.
    """

    path: Path
    values: dict[str, Any]
    present: bool = True
    name: str = ""

    @classmethod
    def read(cls, path: Path) -> JsonObject:
        """Returns the object in a file; one without values if the file is missing.

        Raises:
            BundleError: The file is too large, is not JSON, or does not hold an object.
        """
        if not path.exists():
            return cls(path, {}, present=False)
        if path.stat().st_size > _MOST_BYTES:
            raise BundleError(
                f"{path}: expected at most {_MOST_BYTES >> 20} MB. Received: {path.stat().st_size:,} bytes; "
                "this is not a tokenizer file"
            )
        values = files.read_json(path, BundleError)
        if not isinstance(values, dict):
            raise BundleError(f"{path}: expected a JSON object. Received: {shown(values)}")
        return cls(path, values)

    def wrong(self, key: str, expected: str, value: object) -> BundleError:
        """Returns the error about a value of the wrong type."""
        return BundleError(f"{self.path}: {self.name}{key} must be {expected}. Received: {shown(value)}")

    def _typed(self, key: str, kind: type, expected: str, default: Any) -> Any:
        value = self.values.get(key)
        if value is None:
            return default
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self.wrong(key, expected, value)
        return value

    def boolean(self, key: str, default: Any) -> Any:
        """Returns a bool, or the default if the entry is missing or null."""
        return self._typed(key, bool, "true or false", default)

    def integer(self, key: str, default: int) -> int:
        """Returns an int, or the default if the entry is missing or null; UNLIMITED for floats from that value on."""
        value = self.values.get(key)
        if isinstance(value, float) and value == value and value >= UNLIMITED:  # some tools write 1e30
            return UNLIMITED
        return self._typed(key, int, "an integer", default)

    def text(self, key: str, default: str | None = None) -> str:
        """Returns a string that is valid in UTF-8. Without a default, a missing entry is an error."""
        value = self._typed(key, str, "a string", default)
        if value is None or not is_text(value):
            raise self.wrong(key, "a string", value)
        return value

    def strings(self, key: str) -> list[str]:
        """Returns a list of strings, which is empty if the entry is missing or null."""
        values = self._typed(key, list, "a list of strings", [])
        if not all(isinstance(value, str) and is_text(value) for value in values):
            raise self.wrong(key, "a list of strings", values)
        return values

    def object(self, key: str) -> JsonObject:
        """Returns an object inside this one, which is without values if the entry is missing or null."""
        value = self._typed(key, dict, "an object", None)
        return JsonObject(self.path, value or {}, value is not None, f"{self.name}{key}.")


MISSING = JsonObject(Path(), {}, present=False)
"""The contents of a file that is missing."""


def is_text(value: str) -> bool:
    """Returns whether a string is valid in UTF-8; JSON strings can contain lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in value)
