"""Several runs of the same fine-tuning, and what they have in common: mean and deviation of each metric."""

from __future__ import annotations

import math
import os
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kbert import files
from kbert.errors import DataError, UsageError
from kbert.sources.memory_table import as_table
from kbert.training.finetune import finetune
from kbert.training.loop.loop import FREE_SETTINGS
from kbert.training.run_folder.runs import open_run, unclaimed_on_error

RESULTS_FILE = "results.json"
_SETTINGS_FILE = "repeats.json"
_FREE = (*FREE_SETTINGS, "show_progress", "profile", "histograms_every", "projector", "seeds")


def finetune_seeds(
    task: str, *, seeds: int, output: files.PathLike, seed: int = 0, resume: bool = False, **settings: Any
) -> dict[str, Any]:
    """Fine-tunes with the seeds `seed`, `seed` + 1, ..., each run in OUTPUT/seed-N, and sums up in results.json.

    Args:
        task: The name of a task.
        seeds: How many. A folder of results may be resumed with more.
        output: A folder for all of them.
        seed: The first.
        resume: Continue; runs that are finished are not done again.
        settings: Of `finetune`.

    Returns:
        "runs", a list of {folder, seed, metrics}; "mean" and "deviation" (of a sample, n - 1), each {metric: value}.

    Raises:
        UsageError: An option cannot be, or `output` holds something else.
        KbertError: As `finetune`.
    """
    if seeds < 2:
        raise UsageError(f"seeds must be at least 2. Received: seeds={seeds}")
    runs = [{"folder": f"seed-{number}", "seed": number} for number in range(seed, seed + seeds)]
    return _repeat(task, runs, Path(output), {"seeds": seeds, "seed": seed, **settings}, resume=resume)


def cross_validate(
    task: str, *, folds: int, output: files.PathLike, seed: int = 0, resume: bool = False, **settings: Any
) -> dict[str, Any]:
    """K-fold cross-validation over the training rows: each run, in OUTPUT/fold-N, holds out another fold of them.

    Args:
        task: The name of a task.
        folds: How many.
        output: A folder for all runs.
        seed: Of the folds, which are stratified by target, and of each run.
        resume: Continue; runs that are finished are not done again.
        settings: Of `finetune`, without `validation`.

    Returns:
        "runs", a list of {folder, fold, metrics}; "mean" and "deviation" (of a sample, n - 1), each {metric: value}.

    Raises:
        UsageError: An option cannot be, or `output` holds something else.
        KbertError: As `finetune`.
    """
    if folds < 2:
        raise UsageError(f"folds must be at least 2. Received: folds={folds}")
    if settings.get("validation") is not None or settings.get("validation_split") is not None:
        raise UsageError("cross-validation holds out training rows; leave out the validation file")
    runs = [{"folder": f"fold-{number}", "fold": (number, folds)} for number in range(folds)]
    return _repeat(task, runs, Path(output), {"folds": folds, "seed": seed, **settings}, resume=resume)


def _repeat(
    task: str, runs: Sequence[Mapping[str, Any]], output: Path, settings: dict[str, Any], *, resume: bool
) -> dict[str, Any]:
    check_one_machine(settings)
    is_new = not output.exists()
    open_run(output, recorded(task, settings), resume=resume, free=_FREE, file=_SETTINGS_FILE)
    settings = {name: value for name, value in settings.items() if name not in ("seeds", "folds")}
    path = output / RESULTS_FILE
    done = {run["folder"]: run for run in files.read_json(path, DataError)["runs"]} if path.exists() else {}
    if len(done) > len(runs):
        raise UsageError(f"{output} has {len(done)} finished runs; resume with as many or more. Received: {len(runs)}")
    results: dict[str, Any] = {}
    finished = []
    for run in runs:
        is_done = run["folder"] in done
        if not is_done:
            own = settings | {name: value for name, value in run.items() if name != "folder"}
            with unclaimed_on_error(output, _SETTINGS_FILE, is_new=is_new):
                metrics = finetune(task, output=output / run["folder"], resume=resume, **own)
            done[run["folder"]] = {**run, "metrics": numbers(metrics)}
        finished.append(done[run["folder"]])
        results = {"runs": finished, **summary([each["metrics"] for each in finished])}
        if not is_done:
            files.write_json(path, results)
    return results


def summary(metrics: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Mean and deviation of each metric that all runs have; the deviation is that of a sample, 0 of a single run."""
    names = [name for name in metrics[0] if all(name in each for each in metrics)]
    columns = {name: [each[name] for each in metrics] for name in names}
    return {
        "mean": {name: statistics.fmean(values) for name, values in columns.items()},
        "deviation": {
            name: statistics.stdev(values) if len(values) > 1 and all(map(math.isfinite, values)) else 0.0
            for name, values in columns.items()
        },
    }


def numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The metrics that are single measured numbers: no counts, no tables."""
    return {name: value for name, value in metrics.items() if isinstance(value, float)}


def recorded(task: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What several runs were started with, as JSON; of data files what is in them, too."""
    values: dict[str, Any] = {"command": f"finetune {task}"}
    for name, value in settings.items():
        if name == "callbacks":  # they only watch
            continue
        values[name] = os.fspath(value) if isinstance(value, os.PathLike) else value
        if name in ("train", "validation", "vocab", "synonyms") and value is not None:
            table = as_table(value, name)
            if table is not None:
                values[name] = table.name
            values[f"{name}_digest"] = files.file_sha256(value) if table is None else table.sha256()
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def check_one_machine(settings: Mapping[str, Any]) -> None:
    """Checks that runs can follow each other in one process.

    Raises:
        UsageError: They are of several workers.
    """
    strategy = settings.get("strategy", "auto")
    if strategy in ("multi-worker", "tpu") or settings.get("cluster") or os.environ.get("TF_CONFIG"):
        raise UsageError(
            "several runs in one command are runs of one machine; start each with its own --seed instead. "
            f"Received: strategy={strategy!r}"
        )
