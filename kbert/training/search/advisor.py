"""What a search for hyper-parameters tries next, by Optuna (extra `tune`)."""

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
"""The number of values of a range of real numbers in a grid."""


class Advisor:
    """Says which values to try next, by Optuna's `ask` and `tell`.

    The sampler of each trial has a seed of its own, and what is known of earlier trials is told to the study. So a
    search that is resumed goes on as if it had never ended, and needs to keep no state but results.json.

    Args:
        search: One of SEARCHES.
        space: The ranges and choices by name.
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
        """The values of the trial of that number from 0, given what was told of the trials before it; None: no more."""
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
        """Takes the score of a trial into account: of the one that was asked for, or of an earlier run of the search.

        Args:
            values: The values of the trial.
            score: Its score, larger is better; None if it failed.
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
