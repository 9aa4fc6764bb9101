"""What a run shows while it goes: metrics.jsonl, TensorBoard, and progress on standard error."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from kbert import files

METRICS_FILE = "metrics.jsonl"
TENSORBOARD_FOLDER = "tensorboard"

_LINE_SECONDS = 30.0
"""Between two lines where standard error is not a terminal."""


class Monitor:
    """Writes the metrics of a run.

    Args:
        folder: The run's folder.
        steps: Steps in all.
        title: What the progress bar is called.
        show_progress: Show progress on standard error.
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
        self._latest: Mapping[str, float] = {}
        self._update: Callable[[int], None] = lambda step: None

    @contextlib.contextmanager
    def running(self, step: int) -> Iterator[None]:
        """Opens the run's files at `step`; rows of later steps, of a run that was stopped, are dropped."""
        import tensorflow as tf

        self._drop_rows_after(step)
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

        self._latest = {**metrics, **self._constants, **timing}
        json.dump({"step": step, **self._latest}, self._rows)
        self._rows.write("\n")
        self._rows.flush()
        for name, value in self._latest.items():
            tf.summary.scalar(name, value, step=step)

    def sync(self) -> None:
        """Makes sure that the rows so far are on disk: a checkpoint that follows counts on them."""
        self._rows.flush()
        os.fsync(self._rows.fileno())
        self._writer.flush()

    def progress(self, step: int) -> None:
        """Shows that `step` steps are done."""
        self._update(step)

    def _drop_rows_after(self, step: int) -> None:
        if not self.path.exists():
            return
        kept = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            # A row that a kill cut short cannot be read, and is of a step to come.
            with contextlib.suppress(ValueError):
                if json.loads(line)["step"] <= step:
                    kept.append(line + "\n")
        files.write_text(self.path, "".join(kept))

    def _summary(self) -> str:
        shown = {name: value for name, value in self._latest.items() if name != "seconds"}
        return "  ".join(
            f"{name.replace('_', ' ')} {value:,.0f}" if abs(value) >= 1000 else f"{name.replace('_', ' ')} {value:.4g}"
            for name, value in shown.items()
        )

    @contextlib.contextmanager
    def _display(self, first: int) -> Iterator[None]:
        if not self._show:
            yield
        elif sys.stderr.isatty():
            with self._bar(first):
                yield
        else:
            self._print_lines(first)
            yield

    def _print_lines(self, first: int) -> None:
        began = last = time.monotonic()

        def update(step: int) -> None:
            nonlocal last
            now = time.monotonic()
            if step > first and (now - last >= _LINE_SECONDS or step == self._steps):
                last = now
                left = (now - began) / (step - first) * (self._steps - step)
                print(
                    f"{self._title}: step {step}/{self._steps}  {self._summary()}  {left:.0f} s left",
                    file=sys.stderr,
                    flush=True,
                )

        self._update = update

    @contextlib.contextmanager
    def _bar(self, first: int) -> Iterator[None]:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[summary]}"),
        )
        with Progress(*columns, console=Console(stderr=True)) as progress:
            task = progress.add_task(self._title, total=self._steps, completed=first, summary="")
            self._update = lambda step: progress.update(task, completed=step, summary=self._summary())
            yield


class SilentMonitor(Monitor):
    """Of a worker that is not the chief: writes and shows nothing."""

    def __init__(self) -> None:
        pass

    @contextlib.contextmanager
    def running(self, step: int) -> Iterator[None]:
        """Opens nothing."""
        yield

    def row(self, step: int, metrics: Mapping[str, float], timing: Mapping[str, float]) -> None:
        """Drops the row."""

    def sync(self) -> None:
        """There is nothing to sync."""

    def progress(self, step: int) -> None:
        """Shows nothing."""
