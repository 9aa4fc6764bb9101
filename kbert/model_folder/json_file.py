"""The JSON files of model folders, which are untrusted input."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kbert import files
from kbert.errors import BundleError, shown


@dataclasses.dataclass(frozen=True)
class JsonFile:
    """The JSON object in a file. All methods raise a BundleError for a value of another type.

    Args:
        path: The file, for messages.
        values: The object.
    """

    path: Path
    values: dict[str, Any]

    @classmethod
    def read(cls, path: Path, *, optional: bool = False) -> JsonFile:
        """Reads a file; for an optional file that does not exist, returns an empty object."""
        values = {} if optional and not path.is_file() else files.read_json(path, BundleError)
        if not isinstance(values, dict):
            raise BundleError(f"{path}: expected a JSON object. Received: {type(values).__name__}")
        return cls(path, values)

    def string(self, name: str) -> str | None:
        """Returns a string, or None if it is missing."""
        return self._get(name, lambda value: isinstance(value, str), "a string")

    def flag(self, name: str, default: bool) -> bool:
        """Returns a boolean, or the default if it is missing."""
        value: bool | None = self._get(name, lambda value: isinstance(value, bool), "true or false")
        return default if value is None else value

    def object(self, name: str) -> Mapping[str, Any]:
        """Returns an object, or an empty object if it is missing."""
        return self._get(name, lambda value: isinstance(value, dict), "an object") or {}

    def strings(self, name: str) -> dict[str, str]:
        """Returns an object with strings as values; null is replaced by ""."""
        values = self.object(name)
        for key, value in values.items():
            if value is not None and not isinstance(value, str):
                raise BundleError(f"{self.path}: expected a string as {shown(key)} of {name}. Received: {shown(value)}")
        return {key: value or "" for key, value in values.items()}

    def _get(self, name: str, fits: Callable[[Any], bool], kind: str) -> Any:
        value = self.values.get(name)
        if value is not None and not fits(value):
            raise BundleError(f"{self.path}: expected {kind} as {name}. Received: {shown(value)}")
        return value
