"""Several runs of the same fine-tuning, with the mean and the standard deviation of each metric."""

from __future__ import annotations

import math
import os
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kbert import files
from kbert.errors import DataError, UsageError
from kbert.model_folder.tokenizer import tokenizer_from
from kbert.options import option_infos, with_options
from kbert.sources.content import content_sha256
from kbert.tasks.catalogue import task_info
from kbert.training.finetune import finetune
from kbert.training.options import CrossValidateOptions, FinetuneOptions, FinetuneSeedsOptions, keyword_infos
from kbert.training.run_folder.runs import RunRecord, open_run, unclaimed_on_error

RESULTS_FILE = "results.json"
_SETTINGS_FILE = "repeats.json"


@with_options(FinetuneSeedsOptions)
def finetune_seeds(task: str, *, options: FinetuneSeedsOptions, **task_options: Any) -> dict[str, Any]:
    """Fine-tunes with the seeds `seed`, `seed` + 1, ..., each in OUTPUT/seed-N, and writes a summary to results.json.

    When the command is resumed, perhaps with more seeds, finished runs are not repeated.

    Args:
        task: The name of a task.
        options: All options in one object, which may be a `FinetuneOptions`. Keywords that are given as well replace
            its values.
        task_options: The column names and the task's own options, as for `finetune`.

    Returns:
        "runs", a list of {folder, seed, metrics}; "mean" and "deviation" (of a sample, n - 1), each {metric: value}.

    Raises:
        UsageError: An option is invalid, or `output` holds other files.
        KbertError: A run fails; see `finetune`.

    Example:
        >>> options = kbert.FinetuneOptions(
        ...     model="pretrained", train="train.csv", output="runs", epochs=1, show_progress=False
        ... )
        >>> results = kbert.finetune_seeds("classification", options=options, validation="dev.csv", seeds=2)
        >>> [run["folder"] for run in results["runs"]]
        ['seed-0', 'seed-1']
    """
    first = options.seed
    runs = [{"folder": f"seed-{number}", "seed": number} for number in range(first, first + options.seeds)]
    return _repeat(task, runs, options, task_options)


@with_options(CrossValidateOptions)
def cross_validate(task: str, *, options: CrossValidateOptions, **task_options: Any) -> dict[str, Any]:
    """Runs a K-fold cross-validation over the training rows: each run holds out another fold, in OUTPUT/fold-N.

    The folds are stratified by target, and `seed` seeds the split. When the command is resumed, finished runs are not
    repeated.

    Args:
        task: The name of a task.
        options: All options in one object, which may be a `FinetuneOptions`. Keywords that are given as well replace
            its values.
        task_options: The column names and the task's own options, as for `finetune`.

    Returns:
        "runs", a list of {folder, fold, metrics}; "mean" and "deviation" (of a sample, n - 1), each {metric: value}.

    Raises:
        UsageError: An option is invalid, or `output` holds other files.
        KbertError: A run fails; see `finetune`.

    Example:
        >>> options = kbert.FinetuneOptions(
        ...     model="pretrained", train="train.csv", output="runs", epochs=1, show_progress=False
        ... )
        >>> results = kbert.cross_validate("classification", options=options, folds=2)
        >>> [run["folder"] for run in results["runs"]]
        ['fold-0', 'fold-1']
    """
    runs = [{"folder": f"fold-{number}", "fold": (number, options.folds)} for number in range(options.folds)]
    return _repeat(task, runs, options, task_options)


def _repeat(
    task: str, runs: Sequence[Mapping[str, Any]], options: FinetuneOptions, task_options: Mapping[str, Any]
) -> dict[str, Any]:
    check_one_machine(options)
    output = Path(options.output)
    is_new = not output.exists()
    infos = {**keyword_infos(task_info(task)), **option_infos(type(options))}
    record = recorded(task, options, task_options)
    open_run(output, record, infos=infos, resume=options.resume, file=_SETTINGS_FILE)
    each_run = options.narrowed(FinetuneOptions)
    path = output / RESULTS_FILE
    done = {run["folder"]: run for run in files.read_json(path, DataError)["runs"]} if path.exists() else {}
    if len(done) > len(runs):
        raise UsageError(f"{output} has {len(done)} finished runs; resume with as many or more. Received: {len(runs)}")
    results: dict[str, Any] = {}
    finished = []
    for run in runs:
        is_done = run["folder"] in done
        if not is_done:
            own = {name: value for name, value in run.items() if name != "folder"}
            one = each_run.replace(output=output / run["folder"], **own)
            with unclaimed_on_error(output, _SETTINGS_FILE, is_new=is_new):
                metrics = finetune(task, options=one, **task_options)
            done[run["folder"]] = {**run, "metrics": numbers(metrics)}
        finished.append(done[run["folder"]])
        results = {"runs": finished, **summary([each["metrics"] for each in finished])}
        if not is_done:
            files.write_json(path, results)
    return results


def summary(metrics: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Returns the mean and the sample standard deviation of each metric that all runs have; 0 for a single run."""
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
    """Returns the metrics that are single floating-point numbers, without counts and tables."""
    return {name: value for name, value in metrics.items() if isinstance(value, float)}


def recorded(task: str, options: FinetuneOptions, task_options: Mapping[str, Any]) -> RunRecord:
    """Returns the record of a command with several runs: the options, and digests of the vocabulary and the data."""
    infos = keyword_infos(task_info(task))
    own = {name: value for name, value in task_options.items() if name not in infos or infos[name].remembered}
    contents = {}
    if options.vocab is not None:
        contents["vocab"] = tokenizer_from(options.vocab, cased=options.cased).vocabulary.sha256()
    for name in ("train", "validation", "synonyms"):
        value = getattr(options, name)
        if value is not None:
            contents[name] = content_sha256(value, name)
    return RunRecord(f"finetune {task}", {**options.remembered(), **own}, contents=contents)


def check_one_machine(options: FinetuneOptions) -> None:
    """Checks that the runs are not distributed over several machines, since they run one after the other here.

    Raises:
        UsageError: The strategy or the environment requests several workers or a TPU.
    """
    if options.strategy in ("multi-worker", "tpu") or options.cluster or os.environ.get("TF_CONFIG"):
        raise UsageError(
            "several runs in one command must run on one machine; start each run with its own --seed instead. "
            f"Received: strategy={options.strategy!r}"
        )
