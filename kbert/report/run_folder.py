"""The folder of a run, as the report reads it."""

from __future__ import annotations

import dataclasses
import math
import statistics
from pathlib import Path
from typing import Any

from kbert import files
from kbert.errors import KbertError, UsageError
from kbert.model_folder.bundle import is_bundle
from kbert.model_folder.file_names import RUN_FILE, SETTINGS_FILE
from kbert.training.monitoring.monitor import METRICS_FILE
from kbert.training.run_folder.runs import ENVIRONMENT_FILE, SAMPLES_FILE, WORST_EXAMPLES_FILE, flat_record
from kbert.training.run_folder.step_rows import read_rows


@dataclasses.dataclass(frozen=True)
class Run:
    """The content of a run's folder.

    Args:
        name: The name of the folder.
        settings: The content of run.json, on one level.
        rows: The rows of metrics.jsonl.
        environment: The content of environment.json.
        samples: The rows of samples.jsonl.
        outcome: The content of kbert.json; empty until the run has ended.
        worst: The content of worst_examples.json; older runs have it among the metrics of kbert.json.
    """

    name: str
    settings: dict[str, Any]
    rows: list[dict[str, Any]]
    environment: dict[str, Any]
    samples: list[dict[str, Any]]
    outcome: dict[str, Any]
    worst: dict[str, Any]

    @classmethod
    def load(cls, folder: files.PathLike) -> Run:
        """Reads the folder of a run.

        Raises:
            UsageError: The folder is not that of a run, or one of its files is damaged.
        """
        folder = Path(folder)
        if not (folder / RUN_FILE).is_file():
            raise UsageError(
                f"expected the folder of a run of `kbert pretrain` or `kbert finetune`. Received: {folder}, which has "
                f"no {RUN_FILE}"
            )
        return cls(
            name=folder.resolve().name,
            settings=flat_record(_read(folder / RUN_FILE)),
            rows=read_rows(folder / METRICS_FILE),
            environment=_read(folder / ENVIRONMENT_FILE),
            samples=read_rows(folder / SAMPLES_FILE),
            # config.json is written last; until then the folder is not a model.
            outcome=_read(folder / SETTINGS_FILE) if is_bundle(folder) else {},
            worst=_read(folder / WORST_EXAMPLES_FILE),
        )

    @property
    def state(self) -> str:
        """The progress of the run, for people."""
        steps: int = self.settings.get("steps", 0)
        reached: int = self.rows[-1]["step"] if self.rows else 0
        if not self.outcome:
            return f"step {reached:,} of {steps:,}"
        if self.settings.get("early_stopping") and 0 < reached < steps:
            return f"done, stopped early at step {reached:,} of {steps:,}"
        return f"done, {steps:,} steps"

    def curve(self, metric: str) -> tuple[list[float], list[float]]:
        """Returns the steps at which a metric was measured, and its values."""
        points = [(row["step"], row[metric]) for row in self.rows if isinstance(row.get(metric), int | float)]
        return [float(step) for step, _ in points], [float(value) for _, value in points]

    def last(self, metric: str) -> float | None:
        """Returns the last value of a metric."""
        return next(reversed(self.curve(metric)[1]), None)

    def middle(self, metric: str) -> float | None:
        """Returns the median of a metric, which does not depend on a slow start."""
        values = [value for value in self.curve(metric)[1] if math.isfinite(value)]
        return statistics.median(values) if values else None


def _read(path: Path) -> dict[str, Any]:
    """Returns the JSON object in a file, or an empty one if there is no file."""

    def error(problem: str) -> KbertError:
        return UsageError(f"{path}: {problem}")

    value = files.read_json(path, error) if path.exists() else {}
    if not isinstance(value, dict):
        raise error("expected a JSON object. Received: another value; restore the file, or remove it")
    return value
