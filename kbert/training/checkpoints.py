"""Checkpoints of a run: one verified file each, written atomically, the last few kept."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from kbert import files
from kbert.errors import CheckpointError

_NAME = re.compile(r"step-(\d+)\.safetensors")


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """All that a run needs to go on.

    Args:
        step: Steps done.
        arrays: Variables by name.
        state: What else is remembered; JSON.
    """

    step: int
    arrays: dict[str, np.ndarray]
    state: dict[str, Any]


class Checkpoints:
    """The checkpoints in a folder.

    Args:
        folder: Where they are.
        keep: How many of the last are kept.
    """

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder = folder
        self.keep = keep

    def save(self, checkpoint: Checkpoint) -> None:
        """Writes a checkpoint beside the others, then removes the oldest ones."""
        write_arrays(
            self._path(checkpoint.step),
            checkpoint.arrays,
            {"step": checkpoint.step, "state": checkpoint.state},
        )
        for step in self.steps()[: -self.keep]:
            self._path(step).unlink()

    def steps(self) -> list[int]:
        """The steps of the checkpoints there are, rising."""
        if not self.folder.is_dir():
            return []
        matches = (_NAME.fullmatch(path.name) for path in self.folder.iterdir())
        return sorted(int(match[1]) for match in matches if match)

    def latest(self, warn: Callable[[str], None]) -> Checkpoint | None:
        """The newest checkpoint that can be read; None when there is none at all.

        Args:
            warn: Told of each one that is passed over because it is damaged.

        Raises:
            CheckpointError: There are checkpoints, but all are damaged.
        """
        steps = self.steps()
        problem: CheckpointError | None = None
        for step in reversed(steps):
            try:
                arrays, header = read_arrays(self._path(step))
                return Checkpoint(step, arrays, header["state"])
            except CheckpointError as error:
                problem = error
                warn(f"{error}; trying the one before")
        if problem is not None:
            raise CheckpointError(f"all {len(steps)} checkpoints in {self.folder} are damaged; start the run anew")
        return None

    def _path(self, step: int) -> Path:
        return self.folder / f"step-{step:08d}.safetensors"


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> None:
    """Writes named arrays and a JSON header to a safetensors file with a digest, atomically."""
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    # One metadata key: the library writes several in random order.
    metadata = {"kbert": json.dumps({**header, "blake2b": _digest(arrays, header)})}
    with files.atomic_file(path) as handle:
        handle.write(safetensors.numpy.save(arrays, metadata))


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Reads what `write_arrays` wrote.

    Raises:
        CheckpointError: The file is damaged.
    """
    try:
        with safetensors.safe_open(path, "numpy") as handle:
            header = json.loads((handle.metadata() or {})["kbert"])
            arrays = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118 (not a dict)
        digest = header.pop("blake2b")
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError, OSError) as problem:
        raise CheckpointError(f"the checkpoint {path} is damaged ({problem})") from None
    if digest != _digest(arrays, header):
        raise CheckpointError(f"the checkpoint {path} is damaged (its digest differs)")
    return arrays, header


def _digest(arrays: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> str:
    digest = hashlib.blake2b(json.dumps(header).encode(), digest_size=16)
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {arrays[name].shape}\n".encode())
        digest.update(np.ascontiguousarray(arrays[name]).view(np.uint8).data if arrays[name].size else b"")
    return digest.hexdigest()
