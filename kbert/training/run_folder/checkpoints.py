"""The checkpoints of a run: each is one file with a digest, written atomically; the latest and the best are kept."""

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
    """The complete state of a run, from which it can be resumed.

    Args:
        step: The number of steps done.
        arrays: The values of the variables by name.
        state: The rest of the state, as JSON.
    """

    step: int
    arrays: dict[str, np.ndarray]
    state: dict[str, Any]


class Checkpoints:
    """The checkpoints in a folder.

    Args:
        folder: The folder of the checkpoints.
        keep: The number of latest checkpoints to keep. The best checkpoint is kept as well.
    """

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder = folder
        self.keep = keep

    def save(self, checkpoint: Checkpoint, score: float | None = None) -> None:
        """Writes a checkpoint, then removes the oldest checkpoints, except the best.

        Args:
            checkpoint: The checkpoint to write.
            score: The loss that decides which checkpoint is the best; None for a checkpoint that is never the best.

        Raises:
            CheckpointError: The disk is full. All other checkpoints are unchanged.
        """
        header = {"step": checkpoint.step, "score": score, "state": checkpoint.state}
        for left_over in self.folder.glob(".step-*.part"):  # left by a process that was killed while writing
            left_over.unlink()
        try:
            write_arrays(self._path(checkpoint.step), checkpoint.arrays, header)
        except OSError as problem:
            if problem.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            last = max(self.steps(), default=None)
            kept = "there is none yet" if last is None else f"the checkpoint of step {last} is kept"
            raise CheckpointError(
                f"the disk is full: the checkpoint of step {checkpoint.step} cannot be written to {self.folder} "
                f"({kept}); free some space and add --resume"
            ) from None
        best = self.best()
        for step in self.steps()[: -self.keep]:
            if step != best:
                self._path(step).unlink()

    def best(self) -> int | None:
        """Returns the step of the checkpoint with the lowest loss (the first of equals), or None if none has a loss."""
        scores = []
        for step in self.steps():
            with contextlib.suppress(CheckpointError):
                score = read_header(self._path(step)).get("score")
                if score is not None:
                    scores.append((score, step))
        return min(scores)[1] if scores else None

    def load(self, step: int) -> Checkpoint:
        """Reads the checkpoint of a step.

        Raises:
            CheckpointError: The checkpoint is missing or damaged.
        """
        arrays, header = read_arrays(self._path(step))
        return Checkpoint(step, arrays, header["state"])

    def steps(self) -> list[int]:
        """Returns the steps of all checkpoints in the folder, in rising order."""
        if not self.folder.is_dir():
            return []
        matches = (_NAME.fullmatch(path.name) for path in self.folder.iterdir())
        return sorted(int(match[1]) for match in matches if match)

    def latest(self, warn: Callable[[str], None]) -> Checkpoint | None:
        """Reads the newest checkpoint that is not damaged, or returns None if there are no checkpoints.

        Args:
            warn: A function that is called with a message about each damaged checkpoint.

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
                warn(f"{error}; trying the checkpoint before")
        if problem is not None:
            raise CheckpointError(f"all {len(steps)} checkpoints in {self.folder} are damaged; start a new run")
        return None

    def _path(self, step: int) -> Path:
        return self.folder / f"step-{step:08d}.safetensors"


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> None:
    """Writes named arrays and a JSON header to a safetensors file with a digest, atomically."""
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    # There is only one metadata key, because the library writes several keys in random order.
    metadata = {"kbert": json.dumps({**header, "blake2b": _digest(arrays, header)})}
    with files.atomic_file(path) as handle:
        handle.write(safetensors.numpy.save(arrays, metadata))


def read_header(path: Path) -> dict[str, Any]:
    """Reads the JSON header of a file that `write_arrays` wrote, without reading or verifying the arrays.

    Raises:
        CheckpointError: The file is damaged.
    """
    with _opened(path) as handle:
        return _header(handle)


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Reads the arrays and the JSON header of a file that `write_arrays` wrote.

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
