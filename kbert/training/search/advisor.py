"""The choice of the values that a hyper-parameter search tries next, with Optuna (extra `tune`)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from kbert.errors import UsageError
from kbert.runtime.held_output import quiet_logger
from kbert.training.search.search_space import Range

SEARCHES = ("random", "bayesian", "grid")
_GRID_POINTS = 10
"""The number of grid values for a range of real numbers."""


class Advisor:
    """Chooses the values to try next, with Optuna's `ask` and `tell`.

    The sampler of each trial has its own seed, and the study is given the results of all earlier trials. A resumed
    search therefore continues exactly like an uninterrupted one, and results.json is the only state that it needs.

    Args:
        search: The method of the search, one of SEARCHES.
        space: The ranges and lists of values by the name of the option.
        seed: Seeds all samplers.

    Raises:
        UsageError: optuna is not installed.
    """

    def __init__(self, search: str, space: Mapping[str, Range | list[Any]], seed: int) -> None:
        try:
            import optuna
        except ImportError:
            raise UsageError("a search for hyper-parameters needs optuna: pip install 'kbert[tune]'") from None
        self._search, self._space, self._seed = search, space, seed
        self._distributions = {name: _distribution(optuna, values) for name, values in space.items()}
        with quiet_logger("optuna"):
            self._study = optuna.create_study(direction="maximize")
        self._asked: Any = None

    def ask(self, number: int) -> dict[str, Any] | None:
        """Returns the values of a trial, or None if a grid has no more points.

        Args:
            number: The number of the trial, counted from 0. The results of all earlier trials must have been told.
        """
        import optuna

        if self._search == "grid":
            points = itertools.product(*map(_grid_values, self._space.values()))
            point = next(itertools.islice(points, number, None), None)
            return None if point is None else dict(zip(self._space, point, strict=True))
        seed = int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0])
        if self._search == "random":
            self._study.sampler = optuna.samplers.RandomSampler(seed=seed)
        else:
            self._study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=len(self._space) + 1)
        with quiet_logger("optuna"):
            self._asked = self._study.ask(self._distributions)
        return dict(self._asked.params)

    def tell(self, values: Mapping[str, Any], score: float | None) -> None:
        """Records the score of the trial that `ask` returned last, or of a trial of an earlier run of the search.

        Args:
            values: The values of the trial.
            score: The score of the trial, where larger is better; None if the trial failed.
        """
        import optuna

        asked, self._asked = self._asked, None
        state = optuna.trial.TrialState.FAIL if score is None else optuna.trial.TrialState.COMPLETE
        with quiet_logger("optuna"):
            if asked is not None:
                self._study.tell(asked, score, state)
            else:
                self._study.add_trial(
                    optuna.trial.create_trial(
                        params=dict(values), distributions=self._distributions, value=score, state=state
                    )
                )


def _distribution(optuna: Any, values: Range | list[Any]) -> Any:
    if isinstance(values, list):
        return optuna.distributions.CategoricalDistribution(values)
    if values.whole:
        return optuna.distributions.IntDistribution(int(values.low), int(values.high))
    return optuna.distributions.FloatDistribution(values.low, values.high, log=values.logarithmic)


def _grid_values(values: Range | list[Any]) -> list[Any]:
    if isinstance(values, list):
        return values
    if values.whole:
        return list(range(int(values.low), int(values.high) + 1))
    space = np.geomspace if values.logarithmic else np.linspace
    return [float(f"{value:.6g}") for value in space(values.low, values.high, _GRID_POINTS)]
