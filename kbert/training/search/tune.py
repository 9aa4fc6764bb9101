"""A hyper-parameter search: each trial is a run of `finetune`, and Optuna chooses the values of the next trial."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kbert import files
from kbert.errors import BundleError, DataError, TrainingError, UsageError
from kbert.model_folder.file_names import RUN_FILE, SETTINGS_FILE
from kbert.options import option_error, option_infos, with_options
from kbert.tasks.catalogue import task_info
from kbert.tasks.metrics.names import larger_is_better
from kbert.training.defaults import default_learning_rate
from kbert.training.finetune import finetune
from kbert.training.options import FinetuneOptions, TuneOptions, keyword_infos
from kbert.training.run_folder.runs import open_run, unclaimed_on_error
from kbert.training.search.advisor import Advisor
from kbert.training.search.repeats import RESULTS_FILE, check_one_machine, numbers, recorded
from kbert.training.search.search_space import default_space, parse_space
from kbert.training.starting_point import starting_point

_LOG = logging.getLogger("kbert")
_SETTINGS_FILE = "tune.json"


@with_options(TuneOptions)
def tune(task: str, *, options: TuneOptions, given: frozenset[str], **task_options: Any) -> dict[str, Any]:
    """Searches for the hyper-parameters with the best main metric; each trial is a run in OUTPUT/trial-N.

    Options that are given are the same for all trials and are not searched. When the command is resumed, perhaps with
    more trials, finished trials are not repeated.

    Args:
        task: The name of a task.
        given: The names of the options that the caller gave.
        options: All options in one object, which may be a `FinetuneOptions`. Keywords that are given as well replace
            its values.
        task_options: The column names and the task's own options, as for `finetune`.

    Returns:
        "best", the folder of the best trial; "metric", the name of the main metric; "trials", a list of {folder,
        values, score, metrics} in the order of the trials. A failed trial has the score None and an "error".

    Raises:
        UsageError: An option is invalid, `output` holds other files, or optuna is not installed.
        KbertError: The first trial fails, or the model or the data are invalid; see `finetune`.

    Example:
        >>> options = kbert.FinetuneOptions(
        ...     model="pretrained", train="train.csv", output="runs", epochs=1, show_progress=False
        ... )
        >>> over = {"batch_size": "8,16"}
        >>> results = kbert.tune("classification", options=options, validation="dev.csv", over=over, trials=1)
        >>> list(results["trials"][0]["values"])
        ['batch_size']
    """
    infos = {**keyword_infos(task_info(task)), **option_infos(TuneOptions)}
    over = options.over
    if over is None:
        over = {name: values for name, values in default_space(_learning_rate(options)).items() if name not in given}
    space = parse_space(over)
    fixed = next((name for name in space if name in given), None)
    if fixed is not None:
        raise option_error(
            lambda spell: (
                f"{spell(fixed)} is searched over; do not fix it. Received: {spell(fixed, getattr(options, fixed))}"
            ),
            infos,
        )
    check_one_machine(options)
    advisor = Advisor(options.search, space, options.seed)
    folder = Path(options.output)
    record = recorded(task, options.replace(over=dict(over)), task_options)
    is_new = not folder.exists()
    open_run(folder, record, infos=infos, resume=options.resume, file=_SETTINGS_FILE)
    each_run = options.narrowed(FinetuneOptions)
    path = folder / RESULTS_FILE
    done = files.read_json(path, DataError)["trials"] if path.exists() else []
    results: dict[str, Any] = {"best": None, "metric": None, "trials": []}
    for number in range(options.trials):
        if number < len(done):
            result = done[number]
        else:
            values = advisor.ask(number)
            if values is None:
                break  # the grid has no more points
            one = each_run.replace(output=folder / f"trial-{number}")
            with unclaimed_on_error(folder, _SETTINGS_FILE, is_new=is_new):
                result = _result(task, one, task_options, values, first=number == 0)
        results["trials"].append(result)
        sign = 1
        if result["score"] is not None:
            results["metric"] = _main_metric(folder / result["folder"])
            sign = 1 if larger_is_better(results["metric"]) else -1
            scored = [each for each in results["trials"] if each["score"] is not None]
            results["best"] = max(scored, key=lambda each: sign * each["score"])["folder"]
        if number >= len(done):
            files.write_json(path, results)
        advisor.tell(result["values"], None if result["score"] is None else sign * result["score"])
    return results


def _result(
    task: str, options: FinetuneOptions, task_options: Mapping[str, Any], values: Mapping[str, Any], *, first: bool
) -> dict[str, Any]:
    """Runs a trial and returns its result.

    A trial fails without ending the search if its values are unsuitable, such as a learning rate with which the loss
    diverges. An error of the first trial is raised, since the command itself may be wrong. A usage error of a trial
    that is resumed is raised as well, since the data may have changed.
    """
    run = Path(options.output)
    had_begun = (run / RUN_FILE).exists()
    result: dict[str, Any] = {"folder": run.name, "values": dict(values), "score": None, "metrics": {}}
    try:
        metrics = finetune(task, options=options, **values, **task_options)
    except (TrainingError, UsageError) as problem:
        if first or (had_begun and isinstance(problem, UsageError)):
            raise
        _LOG.info(f"{run.name} has no score: {problem}")
        return result | {"error": str(problem)}
    return result | {"score": metrics[_main_metric(run)], "metrics": numbers(metrics)}


def _learning_rate(options: FinetuneOptions) -> float:
    """Returns the default learning rate of the model that the trials start with."""
    start = starting_point(options.model, options.vocab, options.cased)
    return default_learning_rate(
        start.config.hidden_size, start.config.num_hidden_layers, pretrained=start.bundle is not None
    )


def _main_metric(run: Path) -> str:
    name: str = files.read_json(run / SETTINGS_FILE, BundleError)["main_metric"]
    return name
