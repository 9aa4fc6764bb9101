"""Observers, which record something at certain steps of a run: histograms of the weights, samples, or a profile."""

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
    """Records something between two steps of a run, without an effect on the training.

    The loop runs many steps in one call of the graph. On all workers, a call ends at each boundary of an observer.
    """

    def boundary(self, step: int) -> int:
        """Returns the next step after `step` at which the observer must be called."""

    def reached(self, step: int) -> None:
        """Is called when `step` steps are done: at the start, at each boundary, and possibly in between."""

    def close(self) -> None:
        """Is called when the run ends, also if it ends with an error."""


class Periodic:
    """Calls a function periodically.

    Args:
        period: The number of steps between two calls.
        act: The function, which takes the number of steps done.
        at_start: Whether the function is also called before the first step.
    """

    def __init__(self, period: int, act: Callable[[int], None], *, at_start: bool = False) -> None:
        self._period = period
        self._act = act
        self._at_start = at_start

    def boundary(self, step: int) -> int:
        """Returns the next multiple of the period."""
        return step + self._period - step % self._period

    def reached(self, step: int) -> None:
        """Calls the function if `step` is a multiple of the period."""
        if step % self._period == 0 and (step or self._at_start):
            self._act(step)

    def close(self) -> None:
        """Does nothing, since no file is open."""


@dataclasses.dataclass(frozen=True)
class ObserverSettings:
    """The settings of the optional recordings of a run.

    Args:
        histograms_every: The number of steps between histograms of all weights; None for no histograms.
        profile: The numbers of steps after which a profile starts and stops; None for no profile.

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
        """Returns the settings that the options of a run request."""
        return cls(options.histograms_every, options.profile)


def make_observers(settings: ObserverSettings, model: Any, tensorboard: Path) -> list[Observer]:
    """Returns the observers that are available for pretraining and fine-tuning alike.

    Args:
        settings: The settings of the recordings.
        model: The model that is trained.
        tensorboard: The folder of TensorBoard's files.
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
    """Records the activity of the devices over a range of steps, for TensorBoard's profile plugin.

    Args:
        folder: The folder of TensorBoard's files.
        start: The number of steps after which the recording starts.
        stop: The number of steps after which the recording stops.
    """

    def __init__(self, folder: Path, start: int, stop: int) -> None:
        self._folder = folder
        self._start, self._stop = start, stop
        self._recording = False

    def boundary(self, step: int) -> int:
        """Returns the start of the recording, then its end."""
        return next((bound for bound in (self._start, self._stop) if bound > step), sys.maxsize)

    def reached(self, step: int) -> None:
        """Starts or stops the recording. A run that is resumed in the middle records the remaining steps."""
        if self._start <= step < self._stop and not self._recording:
            tf.profiler.experimental.start(str(self._folder))
            self._recording = True
        elif step >= self._stop:
            self.close()

    def close(self) -> None:
        """Stops the recording, if it is active, and writes it."""
        if self._recording:
            self._recording = False
            tf.profiler.experimental.stop()
