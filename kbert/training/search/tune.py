"""A search for hyper-parameters: each trial is a run of `finetune`, and KerasTuner says what to try next."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kbert import files
from kbert.errors import BundleError, DataError, TrainingError, UsageError
from kbert.model_folder.bundle import RUN_FILE, SETTINGS_FILE
from kbert.options import option_error, option_infos, with_options
from kbert.tasks.catalogue import task_info
from kbert.tasks.metrics.names import larger_is_better
from kbert.training.defaults import default_learning_rate
from kbert.training.finetune import finetune
from kbert.training.options import FinetuneOptions, TuneOptions, keyword_infos
from kbert.training.run_folder.runs import open_run, unclaimed_on_error
from kbert.training.search.repeats import RESULTS_FILE, check_one_machine, numbers, recorded
from kbert.training.search.search_space import Range, default_space, parse_space
from kbert.training.starting_point import starting_point

LOGGER = logging.getLogger("kbert")
_SETTINGS_FILE = "tune.json"
_TUNER = "kbert"


@with_options(TuneOptions)
def tune(task: str, *, options: TuneOptions, given: frozenset[str], **task_options: Any) -> dict[str, Any]:
    """Searches for the hyper-parameters with the best main metric; each trial is a run in OUTPUT/trial-N.

    Settings that are given are the same for all trials, and are not searched. Trials that are finished are not done
    again when the command is resumed, perhaps with more trials.

    Args:
        task: The name of a task.
        given: The names of the options that the caller gave.
        options: All of these in one object, which may be that of `finetune`; keywords beside it replace its values.
        task_options: The columns of tables and the task's own options, as those of `finetune`.

    Returns:
        "best", the folder of the best trial; "metric", its main metric's name; "trials", a list of {folder, values,
        score, metrics}, as they were made; of a trial that failed the score is None, and there is an "error".

    Raises:
        UsageError: An option is invalid, `output` holds something else, or keras-tuner is not installed.
        KbertError: As `finetune`.

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
    oracle = _oracle(options.search, space, options.trials, options.seed)
    folder, trials = Path(options.output), options.trials
    record = recorded(task, options.replace(over=dict(over)), task_options)
    is_new = not folder.exists()
    open_run(folder, record, infos=infos, resume=options.resume, file=_SETTINGS_FILE)
    each_run = options.narrowed(FinetuneOptions)
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
                run = each_run.replace(output=folder / f"trial-{number}")
                with unclaimed_on_error(folder, _SETTINGS_FILE, is_new=is_new):
                    result = _result(task, run, task_options, values, first=number == 0)
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
    task: str, options: FinetuneOptions, task_options: Mapping[str, Any], values: Mapping[str, Any], *, first: bool
) -> dict[str, Any]:
    """Does a trial. Values with which nothing can be learnt, such as a rate at which the loss is no number, have no
    score. In the first trial it may as well be the command that is wrong, in one that had begun the data.
    """  # noqa: D205 (one sentence)
    run = Path(options.output)
    had_begun = (run / RUN_FILE).exists()
    result: dict[str, Any] = {"folder": run.name, "values": dict(values), "score": None, "metrics": {}}
    try:
        metrics = finetune(task, options=options, **values, **task_options)
    except (TrainingError, UsageError) as problem:
        if first or (had_begun and isinstance(problem, UsageError)):
            raise
        LOGGER.info(f"{run.name} has no score: {problem}")
        return result | {"error": str(problem)}
    return result | {"score": metrics[_main_metric(run)], "metrics": numbers(metrics)}


def _learning_rate(options: FinetuneOptions) -> float:
    """The default learning rate of the model that the trials start with."""
    start = starting_point(options.model, options.vocab, options.cased)
    return default_learning_rate(start.config.hidden_size, pretrained=start.bundle is not None)


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
