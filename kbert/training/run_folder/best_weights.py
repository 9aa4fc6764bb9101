"""The weights with the best metrics on the validation file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from kbert.training.run_folder.checkpoints import read_arrays, write_arrays
from kbert.training.run_folder.score import Score, is_better

BEST_FILE = "best.safetensors"


class StoredWeights(NamedTuple):
    """The content of the file of the best weights.

    Args:
        step: The step of the weights.
        metrics: The metrics on the validation file.
        task: The settings of the task.
        tensors: The weights by name.
    """

    step: int
    metrics: dict[str, Any]
    task: dict[str, Any]
    tensors: dict[str, Any]


class BestWeights:
    """The best weights so far, in a file beside the checkpoints.

    Args:
        path: The file.
        metric: The metric that decides which weights are best. If it is equal, the validation loss ("loss") decides.
        larger_is_better: Whether larger values of the metric are better.
        resume: Whether the run is resumed, so that new weights are compared with those in the file.
    """

    def __init__(self, path: Path, metric: str, *, larger_is_better: bool, resume: bool) -> None:
        self.path = path
        self.metric = metric
        self._sign = 1 if larger_is_better else -1
        self._best: Score | None = None
        if resume and path.exists():
            self._best = self._score(self.load().metrics)

    def offer(self, step: int, metrics: Mapping[str, Any], task: Mapping[str, Any], tensors: Mapping[str, Any]) -> None:
        """Writes `tensors` to the file if their metrics are better than all metrics before.

        Args:
            step: The number of steps done.
            metrics: The metrics on the validation file.
            task: The settings of the task.
            tensors: The weights by name.
        """
        if self.would_keep(metrics):
            self._best = self._score(metrics)
            write_arrays(self.path, tensors, {"step": step, "metrics": dict(metrics), "task": dict(task)})

    def would_keep(self, metrics: Mapping[str, Any]) -> bool:
        """Returns whether weights with these metrics are better than all weights before."""
        return self._best is None or is_better(self._score(metrics), self._best)

    def forget_after(self, step: int) -> None:
        """Removes the weights if they are of a later step."""
        if self._best is not None and self.load().step > step:
            self.path.unlink()
            self._best = None

    def load(self) -> StoredWeights:
        """Reads the file."""
        arrays, header = read_arrays(self.path)
        return StoredWeights(header["step"], header["metrics"], header["task"], arrays)

    def _score(self, metrics: Mapping[str, Any]) -> Score:
        return self._sign * metrics[self.metric], metrics.get("loss", math.nan)
