"""Checkpoints of a run: one verified file each, written atomically, the last few and the best kept."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
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
        keep: How many of the last are kept; the best is, too.
    """

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder = folder
        self.keep = keep

    def save(self, checkpoint: Checkpoint, score: float | None = None) -> None:
        """Writes a checkpoint beside the others, then removes the oldest ones, but not the best.

        Args:
            checkpoint: What to write.
            score: Its loss, by which the best one is told; None: it is not in the running.

        Raises:
            CheckpointError: The disk is full; all other checkpoints are as they were.
        """
        header = {"step": checkpoint.step, "score": score, "state": checkpoint.state}
        for left_over in self.folder.glob(".step-*.part"):  # of a process that was killed while it wrote
            left_over.unlink()
        try:
            write_arrays(self._path(checkpoint.step), checkpoint.arrays, header)
        except OSError as problem:
            if problem.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            last = max(self.steps(), default=None)
            kept = "there is none yet" if last is None else f"that of step {last} is kept"
            raise CheckpointError(
                f"the disk is full: the checkpoint of step {checkpoint.step} cannot be written to {self.folder} "
                f"({kept}); free some space and add --resume"
            ) from None
        best = self.best()
        for step in self.steps()[: -self.keep]:
            if step != best:
                self._path(step).unlink()

    def best(self) -> int | None:
        """The step of the checkpoint with the lowest loss, the first of equals; None where none has one."""
        scores = []
        for step in self.steps():
            with contextlib.suppress(CheckpointError):
                score = read_header(self._path(step)).get("score")
                if score is not None:
                    scores.append((score, step))
        return min(scores)[1] if scores else None

    def load(self, step: int) -> Checkpoint:
        """The checkpoint of a step.

        Raises:
            CheckpointError: It is missing or damaged.
        """
        arrays, header = read_arrays(self._path(step))
        return Checkpoint(step, arrays, header["state"])

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
                return self.load(step)
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


def read_header(path: Path) -> dict[str, Any]:
    """Reads the JSON header that `write_arrays` wrote; the arrays are neither read nor verified.

    Raises:
        CheckpointError: The file is damaged.
    """
    with _opened(path) as handle:
        return _header(handle)


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Reads what `write_arrays` wrote.

    Raises:
        CheckpointError: The file is damaged.
    """
    with _opened(path) as handle:
        header = _header(handle)
        arrays = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118 (not a dict)
        digest = header.pop("blake2b")
    if digest != _digest(arrays, header):
        raise CheckpointError(f"the checkpoint {path} is damaged (its digest differs)")
    return arrays, header


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safetensors.safe_open(path, "numpy") as handle:
            yield handle
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError, OSError) as problem:
        raise CheckpointError(f"the checkpoint {path} is damaged ({problem})") from None


def _header(handle: Any) -> dict[str, Any]:
    header: dict[str, Any] = json.loads((handle.metadata() or {})["kbert"])
    return header


def _digest(arrays: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> str:
    digest = hashlib.blake2b(json.dumps(header).encode(), digest_size=16)
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {arrays[name].shape}\n".encode())
        digest.update(np.ascontiguousarray(arrays[name]).view(np.uint8).data if arrays[name].size else b"")
    return digest.hexdigest()
