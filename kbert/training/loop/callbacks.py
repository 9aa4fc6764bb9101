"""Keras callbacks in a run, such as those of TensorBoard, MLflow and W&B.

The compiled loop runs many steps in one call of the graph, which takes up to a second. After the call, the callbacks
are called for each of its steps, in order and with the metrics of that step, so `on_train_batch_end` is up to a second
late. A callback sees the weights after the whole call. A call ends at each row of metrics, checkpoint and evaluation.
An epoch is the interval between two evaluations or, in a run without evaluations, between two checkpoints.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from kbert.errors import UsageError
from kbert.optimizers.adamw import AdamW
from kbert.optimizers.lamb import Lamb
from kbert.optimizers.muon import Muon
from kbert.optimizers.sgd import SGD
from kbert.optimizers.warmup_schedule import WarmupSchedule
from kbert.training.optimizers.schedules import Schedule
from kbert.training.optimizers.settings import OptimizerSettings

_OPTIMIZERS = {"adamw": AdamW, "lamb": Lamb, "muon": Muon, "sgd": SGD}


def check_callbacks(callbacks: Sequence[Any]) -> Sequence[Any]:
    """Checks the callbacks, and returns them.

    Raises:
        UsageError: One of them is not a Keras callback.
    """
    for callback in callbacks:
        if not isinstance(callback, keras.callbacks.Callback):
            raise UsageError(f"callbacks must be keras.callbacks.Callback objects. Received: {type(callback).__name__}")
    return callbacks


def keras_optimizer(settings: OptimizerSettings, schedule: Schedule) -> keras.optimizers.Optimizer:
    """Returns a Keras optimizer with the settings and the learning-rate schedule of the run."""
    values = dataclasses.asdict(settings)
    kind = _OPTIMIZERS[values.pop("name")]
    values["global_clipnorm"] = values.pop("clip_norm")
    if kind is SGD:
        values = {name: values[name] for name in ("weight_decay", "layer_decay", "head_rate", "global_clipnorm")}
    rate = WarmupSchedule(schedule.peak, schedule.steps, schedule.warmup_steps, schedule.decay, schedule.power)
    return kind(rate, **values)


def start_callbacks(callbacks: Sequence[Any], model: Any, loop: Any, epoch_steps: int) -> Callbacks | None:
    """Returns the caller of the Keras callbacks for a `TrainingLoop`, or None if there are no callbacks.

    On workers other than the chief, it calls no callbacks.

    Args:
        callbacks: The Keras callbacks.
        model: The Keras model that is trained.
        loop: The `TrainingLoop`.
        epoch_steps: The number of steps of an epoch.
    """
    if not callbacks:
        return None
    with loop.placement.strategy.scope():
        optimizer = keras_optimizer(loop.optimizer.settings, loop.schedule)
        told = callbacks if loop.placement.is_chief else ()
        return Callbacks(told, model, steps=loop.settings.steps, epoch_steps=epoch_steps, optimizer=optimizer)


class Callbacks:
    """Calls the Keras callbacks of a run on the chief.

    During the run, `model.optimizer` is a Keras optimizer with the settings and the learning rate of the run, which
    callbacks can read. It changes no weights.

    Args:
        callbacks: The Keras callbacks.
        model: The Keras model that is trained.
        steps: The total number of steps.
        epoch_steps: The number of steps of an epoch.
        optimizer: The Keras optimizer to which `model.optimizer` is set.
    """

    def __init__(
        self, callbacks: Sequence[Any], model: Any, *, steps: int, epoch_steps: int, optimizer: Any = None
    ) -> None:
        self._model = model
        self._epoch_steps = epoch_steps
        self._optimizer = optimizer
        self._losses: dict[str, list[float]] = {}
        self._epoch: int | None = None
        self._last_logs: dict[str, float] | None = None
        if optimizer is not None:
            model.compile(optimizer=optimizer, auto_scale_loss=False)
        params = {"epochs": math.ceil(steps / epoch_steps), "steps": epoch_steps, "verbose": 0}
        self._list = keras.callbacks.CallbackList(list(callbacks), model=model, **params)
        model.stop_training = False

    @property
    def wants_to_stop(self) -> bool:
        """Whether a callback has set `model.stop_training`."""
        return bool(self._model.stop_training)

    def begin(self, step: int) -> None:
        """Calls `on_train_begin` at the start of a run, of which `step` steps are already done."""
        self._at(step)
        self._list.on_train_begin()

    def steps(self, first: int, metrics: Mapping[str, Sequence[float]]) -> None:
        """Calls the batch methods of the callbacks for steps that are done.

        Args:
            first: The number of the first step, counted from 0.
            metrics: The metrics of each step by name.
        """
        for index in range(len(next(iter(metrics.values())))):
            step = first + index
            if self._epoch is None:
                self._epoch = step // self._epoch_steps
                self._list.on_epoch_begin(self._epoch)
            logs = {name: float(values[index]) for name, values in metrics.items()}
            for name, value in logs.items():
                self._losses.setdefault(name, []).append(value)
            self._at(step)
            batch = step % self._epoch_steps
            self._list.on_train_batch_begin(batch)
            self._at(step + 1)
            self._list.on_train_batch_end(batch, logs)

    def evaluation(self, measure: Callable[[], Mapping[str, float]]) -> Mapping[str, float]:
        """Evaluates the model between calls of `on_test_begin` and `on_test_end`, and returns the metrics.

        Args:
            measure: A function that evaluates the model. The logs of `on_test_end` are its metrics without the prefix
                "validation_".
        """
        self._list.on_test_begin()
        measured = measure()
        self._list.on_test_end({name.removeprefix("validation_"): value for name, value in measured.items()})
        return measured

    def epoch_end(self, measured: Mapping[str, float]) -> None:
        """Calls `on_epoch_end` with the mean metrics of the epoch and the metrics of the evaluation.

        Args:
            measured: The metrics of the evaluation. Their prefix "validation_" becomes "val_", as in "val_loss".
        """
        if self._epoch is None:
            return
        logs = {name: math.fsum(values) / len(values) for name, values in self._losses.items()}
        logs |= {name.replace("validation_", "val_", 1): value for name, value in measured.items()}
        self._list.on_epoch_end(self._epoch, logs)
        self._losses, self._epoch = {}, None
        self._last_logs = logs

    def end(self) -> None:
        """Calls `on_train_end`."""
        self._list.on_train_end(self._last_logs)

    def _at(self, step: int) -> None:
        if self._optimizer is not None:
            self._optimizer.iterations.assign(step)
