"""The outputs of a run while it trains: metrics.jsonl, TensorBoard, and progress on standard error."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from kbert.training.monitoring.progress import describe, display
from kbert.training.run_folder.step_rows import StepRows

METRICS_FILE = "metrics.jsonl"
TENSORBOARD_FOLDER = "tensorboard"


class Monitor:
    """Writes the metrics of a run, and shows its progress.

    Args:
        folder: The folder of the run.
        steps: The total number of steps.
        title: The title of the progress bar.
        show_progress: Whether to show progress on standard error.
        constants: Metrics that are the same in each row.
    """

    def __init__(
        self,
        folder: Path,
        *,
        steps: int,
        title: str,
        show_progress: bool = True,
        constants: Mapping[str, float] | None = None,
    ) -> None:
        self.path = folder / METRICS_FILE
        self._tensorboard_folder = folder / TENSORBOARD_FOLDER
        self._steps = steps
        self._title = title
        self._show = show_progress
        self._constants = constants or {}
        self._latest: dict[str, float] = {}
        self._update: Callable[[int], None] = lambda step: None

    @contextlib.contextmanager
    def running(self, step: int) -> Iterator[None]:
        """Opens the files of the run at `step`, and drops rows of later steps that a stopped run wrote."""
        import tensorflow as tf

        StepRows(self.path).drop_after(step)
        self._writer = tf.summary.create_file_writer(str(self._tensorboard_folder))
        with (
            open(self.path, "a", encoding="utf-8") as self._rows,
            self._writer.as_default(),
            self._display(step),
        ):
            yield
        self._writer.close()

    def row(self, step: int, metrics: Mapping[str, float], timing: Mapping[str, float]) -> None:
        """Adds a row of metrics after `step` steps."""
        import tensorflow as tf

        row = {**metrics, **self._constants, **timing}
        json.dump({"step": step, **row}, self._rows)
        self._rows.write("\n")
        self._rows.flush()
        for name, value in row.items():
            tf.summary.scalar(name, value, step=step)
        # Metrics of evaluations stay on display until the next evaluation.
        self._latest |= row

    def sync(self) -> None:
        """Writes all rows to disk, because a checkpoint that is saved next relies on them."""
        self._rows.flush()
        os.fsync(self._rows.fileno())
        self._writer.flush()

    def progress(self, step: int) -> None:
        """Updates the progress display to `step` finished steps."""
        self._update(step)

    @contextlib.contextmanager
    def _display(self, first: int) -> Iterator[None]:
        if not self._show:
            yield
            return
        with display(
            self._title, first=first, steps=self._steps, summary=lambda: describe(self._latest)
        ) as self._update:
            yield


class SilentMonitor(Monitor):
    """The monitor of a worker that is not the chief, which writes and shows nothing."""

    def __init__(self) -> None:
        pass

    @contextlib.contextmanager
    def running(self, step: int) -> Iterator[None]:
        """Opens nothing."""
        yield

    def row(self, step: int, metrics: Mapping[str, float], timing: Mapping[str, float]) -> None:
        """Drops the row."""

    def sync(self) -> None:
        """Does nothing."""

    def progress(self, step: int) -> None:
        """Shows nothing."""
