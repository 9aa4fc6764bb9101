"""What looks at a run at certain steps and changes nothing: histograms of the weights, samples, a profile."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import tensorflow as tf

from kbert.options import check_option
from kbert.training.options import TrainingOptions


class Observer(Protocol):
    """Looks at a run between two steps. Calls of many steps end at its boundaries, on all workers."""

    def boundary(self, step: int) -> int:
        """The next step after `step` that it wants to see done."""

    def reached(self, step: int) -> None:
        """Called when `step` steps are done: at the start, at each boundary, and at times between."""

    def close(self) -> None:
        """Called when the run ends, also by an error."""


class Periodic:
    """Does something each so many steps.

    Args:
        period: Steps.
        act: Called with the number of steps done.
        at_start: Before the first step, too.
    """

    def __init__(self, period: int, act: Callable[[int], None], *, at_start: bool = False) -> None:
        self._period = period
        self._act = act
        self._at_start = at_start

    def boundary(self, step: int) -> int:
        """The next multiple of the period."""
        return step + self._period - step % self._period

    def reached(self, step: int) -> None:
        """Acts if it is time."""
        if step % self._period == 0 and (step or self._at_start):
            self._act(step)

    def close(self) -> None:
        """Nothing is open."""


@dataclasses.dataclass(frozen=True)
class ObserverSettings:
    """What is recorded beside the metrics, on request.

    Args:
        histograms_every: The number of steps between histograms of all weights; None for no histograms.
        profile: The steps done when a profile begins and when it ends; None for no profile.

    Raises:
        UsageError: A value is invalid.
    """

    histograms_every: int | None = None
    profile: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        check_option(TrainingOptions, "histograms_every", self.histograms_every)
        check_option(TrainingOptions, "profile", self.profile)

    @classmethod
    def from_options(cls, options: TrainingOptions) -> ObserverSettings:
        """The settings that the options of a run ask for."""
        return cls(options.histograms_every, options.profile)


def make_observers(settings: ObserverSettings, model: Any, tensorboard: Path) -> list[Observer]:
    """The observers that any run may have.

    Args:
        settings: What is recorded.
        model: The model that is trained.
        tensorboard: TensorBoard's folder.
    """
    observers: list[Observer] = []
    if settings.histograms_every is not None:
        write = lambda step: _write_histograms(model, step)  # noqa: E731
        observers.append(Periodic(settings.histograms_every, write, at_start=True))
    if settings.profile is not None:
        observers.append(Profile(tensorboard, *settings.profile))
    return observers


def _write_histograms(model: Any, step: int) -> None:
    for variable in model.trainable_variables:
        tf.summary.histogram(variable.path, variable.value, step=step)


class Profile:
    """Records what the devices do from one step to another, for TensorBoard's profile plugin.

    Args:
        folder: TensorBoard's folder.
        start: Steps done when it begins.
        stop: Steps done when it ends.
    """

    def __init__(self, folder: Path, start: int, stop: int) -> None:
        self._folder = folder
        self._start, self._stop = start, stop
        self._recording = False

    def boundary(self, step: int) -> int:
        """Its begin, then its end."""
        return next((bound for bound in (self._start, self._stop) if bound > step), sys.maxsize)

    def reached(self, step: int) -> None:
        """Begins or ends; a run that was resumed in the middle records the rest."""
        if self._start <= step < self._stop and not self._recording:
            tf.profiler.experimental.start(str(self._folder))
            self._recording = True
        elif step >= self._stop:
            self.close()

    def close(self) -> None:
        """Writes what was recorded."""
        if self._recording:
            self._recording = False
            tf.profiler.experimental.stop()
