"""A search for hyper-parameters: each trial is a run of `finetune`, and KerasTuner says what to try next."""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kbert import files
from kbert.errors import BundleError, DataError, TrainingError, UsageError
from kbert.model_folder.file_names import RUN_FILE, SETTINGS_FILE
from kbert.tasks.catalogue import task_info
from kbert.tasks.metrics.names import larger_is_better
from kbert.training.defaults import default_learning_rate
from kbert.training.finetune import finetune
from kbert.training.loop.loop import FREE_SETTINGS
from kbert.training.run_folder.runs import open_run, unclaimed_on_error
from kbert.training.search.repeats import RESULTS_FILE, check_one_machine, numbers, recorded
from kbert.training.search.search_space import Range, default_space, parse_space
from kbert.training.starting_point import starting_point

SEARCHES = ("random", "bayesian", "grid")
_SETTINGS_FILE = "tune.json"
_FREE = (*FREE_SETTINGS, "show_progress", "profile", "histograms_every", "projector", "trials")
_TUNER = "kbert"


def tune(
    task: str,
    *,
    trials: int,
    output: files.PathLike,
    search: str = "bayesian",
    over: Mapping[str, str] | None = None,
    seed: int = 0,
    resume: bool = False,
    **settings: Any,
) -> dict[str, Any]:
    """Searches for the hyper-parameters with the best main metric; each trial is a run in OUTPUT/trial-N.

    Args:
        task: The name of a task.
        trials: How many at most; a grid may have fewer points. A search may be resumed with more.
        output: A folder for all trials and results.json.
        search: "random", "bayesian" (a Gaussian process over the trials so far) or "grid".
        over: Values by name: "1e-5:1e-4" for a range, "16,32" for a choice. The default is learning rates around
            the model's default, batch sizes, weight decay and warm-up, except those that `settings` give.
        seed: Of the search, and of each run.
        resume: Continue; trials that are finished are not done again.
        settings: Of `finetune`, the same for all trials.

    Returns:
        "best", the folder of the best trial; "metric", its main metric's name; "trials", a list of {folder, values,
        score, metrics}, as they were made; of a trial that failed the score is None, and there is an "error".

    Raises:
        UsageError: An option cannot be, `output` holds something else, or keras-tuner is not installed.
        KbertError: As `finetune`.
    """
    if trials < 1:
        raise UsageError(f"trials must be at least 1. Received: trials={trials}")
    if search not in SEARCHES:
        raise UsageError(f"search must be one of {', '.join(SEARCHES)}. Received: search={search!r}")
    task_info(task)
    if over is None:
        space_of_model = default_space(_learning_rate(settings))
        over = {name: values for name, values in space_of_model.items() if name not in settings}
    space = parse_space(over)
    fixed = next((name for name in space if name in settings), None)
    if fixed is not None:
        raise UsageError(f"{fixed} is searched over; do not fix it. Received: {fixed}={settings[fixed]!r}")
    check_one_machine(settings)
    oracle = _oracle(search, space, trials, seed)
    folder = Path(output)
    record = recorded(task, {"trials": trials, "search": search, "over": dict(over), "seed": seed, **settings})
    is_new = not folder.exists()
    open_run(folder, record, resume=resume, free=_FREE, file=_SETTINGS_FILE)
    path = folder / RESULTS_FILE
    done = files.read_json(path, DataError)["trials"] if path.exists() else []
    results: dict[str, Any] = {"best": None, "metric": None, "trials": []}
    with tempfile.TemporaryDirectory() as scratch:
        # As its own Tuner does. What it remembers there is not kept: finished trials are told to it again.
        oracle._set_project_dir(scratch, _TUNER)
        for number in range(trials):
            trial = _quietly(oracle.create_trial, _TUNER)
            if trial.status != "RUNNING":
                break  # the grid has no more points
            if number < len(done):
                result = done[number]
                trial.hyperparameters.values = result["values"]
            else:
                values = dict(trial.hyperparameters.values)
                run = folder / f"trial-{number}"
                with unclaimed_on_error(folder, _SETTINGS_FILE, is_new=is_new):
                    result = _result(task, run, {"seed": seed, "resume": resume, **settings}, values, first=number == 0)
            results["trials"].append(result)
            if result["score"] is not None:
                results["metric"] = _main_metric(folder / result["folder"])
                sign = 1 if larger_is_better(results["metric"]) else -1
                scored = [each for each in results["trials"] if each["score"] is not None]
                results["best"] = max(scored, key=lambda each: sign * each["score"])["folder"]
                _quietly(oracle.update_trial, trial.trial_id, {"score": sign * result["score"]})
            if number >= len(done):
                files.write_json(path, results)
            trial.status = "INVALID" if result["score"] is None else "COMPLETED"
            _quietly(oracle.end_trial, trial)
    return results


def _result(
    task: str, run: Path, settings: Mapping[str, Any], values: Mapping[str, Any], *, first: bool
) -> dict[str, Any]:
    """Does a trial. Values with which nothing can be learnt, such as a rate at which the loss is no number, have no
    score. In the first trial it may as well be the command that is wrong, in one that had begun the data.
    """  # noqa: D205 (one sentence)
    had_begun = (run / RUN_FILE).exists()
    result: dict[str, Any] = {"folder": run.name, "values": dict(values), "score": None, "metrics": {}}
    try:
        metrics = finetune(task, output=run, **settings, **values)
    except (TrainingError, UsageError) as problem:
        if first or (had_begun and isinstance(problem, UsageError)):
            raise
        print(f"{run.name} has no score: {problem}", file=sys.stderr)
        return result | {"error": str(problem)}
    return result | {"score": metrics[_main_metric(run)], "metrics": numbers(metrics)}


def _learning_rate(settings: Mapping[str, Any]) -> float:
    """The default learning rate of the model that the trials start with."""
    config, _, start = starting_point(settings["model"], settings.get("vocab"), settings.get("cased", False))
    return default_learning_rate(config.hidden_size, pretrained=start is not None)


def _oracle(search: str, space: Mapping[str, Range | list[Any]], trials: int, seed: int) -> Any:
    """What says which values to try next."""
    try:
        import keras_tuner
    except ImportError:
        raise UsageError("a search for hyper-parameters needs keras-tuner: pip install 'kbert[tune]'") from None
    parameters = keras_tuner.HyperParameters()
    for name, values in space.items():
        if isinstance(values, list):
            parameters.Choice(name, values)
        elif values.whole:
            parameters.Int(name, int(values.low), int(values.high))
        else:
            parameters.Float(name, values.low, values.high, sampling="log" if values.logarithmic else "linear")
    kinds = {
        "random": keras_tuner.oracles.RandomSearchOracle,
        "bayesian": keras_tuner.oracles.BayesianOptimizationOracle,
        "grid": keras_tuner.oracles.GridSearchOracle,
    }
    # By default KerasTuner draws three trials a dimension at random before its process has a say.
    more = {"num_initial_points": len(space) + 1} if search == "bayesian" else {}
    # A seed of 0 would be none to KerasTuner.
    objective = keras_tuner.Objective("score", "max")
    more["max_consecutive_failed_trials"] = trials + 1  # they are told; the search goes on
    oracle = kinds[search](objective=objective, max_trials=trials, hyperparameters=parameters, seed=seed + 1, **more)
    oracle.verbose = 0
    return oracle


def _quietly(call: Any, *arguments: Any) -> Any:
    """Calls KerasTuner, and its Gaussian process, without their warnings: of old names in Python, of few trials."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call(*arguments)


def _main_metric(run: Path) -> str:
    name: str = files.read_json(run / SETTINGS_FILE, BundleError)["main_metric"]
    return name
