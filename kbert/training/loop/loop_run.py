"""A run of the training loop: calls of many steps, what is due between them, and going back to checkpoints."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import math
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kbert.errors import CheckpointError, TrainingError
from kbert.runtime.interrupts import Interrupted, Signals
from kbert.training.devices.strategy import lost_worker
from kbert.training.loop.callbacks import Callbacks
from kbert.training.loop.early_stopping import EarlyStopping
from kbert.training.loop.inputs import Input, phase_at
from kbert.training.loop.loop import TrainingLoop
from kbert.training.loop.progress import Progress
from kbert.training.loop.spikes import SkippedBatches, Spike, SpikeDetector
from kbert.training.monitoring.monitor import Monitor
from kbert.training.monitoring.observers import Observer
from kbert.training.run_folder.checkpoints import Checkpoint, Checkpoints

_LOG = logging.getLogger("kbert")
_CALL_SECONDS = 1.0
"""The target time of a call of many steps. The overhead of such a call is negligible, and a signal is handled soon."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_REWINDS = 10
"""The maximum number of times that a run goes back to the same checkpoint."""


def run_loop(
    loop: TrainingLoop,
    monitor: Monitor,
    checkpoints: Checkpoints,
    *,
    resume: bool = False,
    evaluate: Callable[[int], Mapping[str, float]] | None = None,
    evaluate_every: int = 0,
    early_stopping: EarlyStopping | None = None,
    observers: Sequence[Observer] = (),
    callbacks: Callbacks | None = None,
) -> dict[str, Any]:
    """Trains a model until `loop.settings.steps` steps are done.

    Args:
        loop: The training loop.
        monitor: The monitor, which writes the metrics.
        checkpoints: The checkpoints, which all workers read and only the chief writes.
        resume: Whether to continue from the newest checkpoint that is not damaged, if there is one.
        evaluate: A function that takes the number of steps done and returns metrics for the row. The chief calls it
            every `evaluate_every` steps and at the end. If "validation_loss" is one of its metrics, it decides
            which checkpoint is the best.
        evaluate_every: The number of steps between evaluations.
        early_stopping: The rule that ends the run early; None for no such rule.
        observers: The observers, which only the chief calls.
        callbacks: The Keras callbacks, which only the chief calls. Either all workers or none must give callbacks.
            If a callback sets `model.stop_training`, the run ends as it does after its last step: with a row of
            metrics, an evaluation and a checkpoint.

    Returns:
        The first and the last row of training metrics, as "first" and "last".

    Raises:
        Spike: The loss jumped or is not finite.
        TrainingError: Another worker is gone, or the loss still jumps or is not finite after several rewinds.
        CheckpointError: All checkpoints are damaged, a checkpoint belongs to another model, or the disk is full.
        Interrupted: SIGINT or SIGTERM was received, and a checkpoint was saved.
    """
    run = _Run(
        loop,
        monitor,
        checkpoints,
        evaluate=evaluate,
        evaluate_every=evaluate_every,
        early_stopping=early_stopping,
        observers=observers,
        callbacks=callbacks,
    )
    if resume:
        run.restore_newest()
    try:
        return run.train()
    finally:
        loop.steps_done = run.progress.step


class _Run:
    """A run of a training loop: its progress, and those who watch it.

    Args:
        loop: The training loop.
        monitor: See `run_loop`, as for the other arguments.
        checkpoints: The checkpoints.
        evaluate: The function that evaluates the model, or None.
        evaluate_every: The number of steps between evaluations.
        early_stopping: The rule that ends the run early, or None.
        observers: The observers.
        callbacks: The Keras callbacks, or None.
    """

    def __init__(
        self,
        loop: TrainingLoop,
        monitor: Monitor,
        checkpoints: Checkpoints,
        *,
        evaluate: Callable[[int], Mapping[str, float]] | None,
        evaluate_every: int,
        early_stopping: EarlyStopping | None,
        observers: Sequence[Observer],
        callbacks: Callbacks | None,
    ) -> None:
        self.loop = loop
        self.settings = loop.settings
        self.placement = loop.placement
        self.monitor = monitor
        self.checkpoints = checkpoints
        self.evaluate = evaluate
        self.evaluate_every = evaluate_every
        self.early_stopping = early_stopping
        self.observers = observers
        self.callbacks = callbacks
        self.progress = Progress()
        self._stopped = False
        """Whether a callback has ended the run."""
        self._measured: Mapping[str, float] = {}
        """The metrics of the last evaluation, for the callbacks."""
        self._work = np.zeros(2)
        """The work of the batches since the last row (`Throughput.work`)."""

    def train(self) -> dict[str, Any]:
        """Trains until the last step; see `run_loop`."""
        if self.callbacks is not None and self.placement.is_chief:
            self.callbacks.begin(self.progress.step)
        rewinds: dict[int, int] = {}
        with Signals() as signals:
            while True:
                try:
                    with self.monitor.running(self.progress.step), contextlib.ExitStack() as ends:
                        for observer in self.observers:
                            ends.callback(observer.close)
                        self._train(signals)
                    self.loop.optimizer.settle()
                    if self.callbacks is not None and self.placement.is_chief:
                        self.callbacks.end()
                    return self.progress.ends
                except Spike as spike:
                    if self.settings.on_spike != "rewind":
                        raise
                    self._rewind(spike, rewinds)

    def _rewind(self, spike: Spike, rewinds: dict[int, int]) -> None:
        """Goes back to the newest checkpoint, and skips the batches from there to the spike.

        Args:
            spike: The spike.
            rewinds: The number of rewinds to each step so far, which is updated.

        Raises:
            TrainingError: The run went back to this checkpoint too often.
        """
        end = SkippedBatches(self.progress.skipped).batch(spike.step - 1) + 1
        self.restore_newest()
        step = self.progress.step
        rewinds[step] = rewinds.get(step, 0) + 1
        if rewinds[step] > _REWINDS:
            raise TrainingError(
                f"{spike.what} at step {spike.step}, even after {_REWINDS} rewinds; "
                "lower the learning rate or lengthen the warm-up"
            ) from None
        self.progress.skipped = SkippedBatches(self.progress.skipped).rewound(step, end).ranges
        _LOG.warning(f"{spike.what} at step {spike.step}; rewinding to step {step} and skipping the batches since")

    def _train(self, signals: Signals) -> None:
        progress, settings = self.progress, self.settings
        detector = SpikeDetector(settings.spike_threshold, progress.losses)
        if settings.on_spike == "rewind" and progress.step == 0:
            self._save()  # a rewind needs a checkpoint
        self._observe()
        while progress.step < settings.steps and not self._is_enough():
            phase, phase_end = phase_at(self.loop.phases, progress.step)
            source = Input(
                phase.batches, self.placement, SkippedBatches(progress.skipped).batch(progress.step), self.loop.meter
            )
            try:
                self._train_phase(signals, source, phase_end, detector)
            finally:
                source.close()

    def _train_phase(self, signals: Signals, source: Input, phase_end: int, detector: SpikeDetector) -> None:
        progress, settings = self.progress, self.settings
        run_steps = self.loop.step.function(source.iterator, source.element_spec)
        count = 1
        began = row_began = time.monotonic()
        self._work = np.zeros(2)
        while progress.step < phase_end and not self._is_enough():
            count = min(count, self._until_boundary(phase_end))
            self._call(run_steps, source, count, detector)
            now = time.monotonic()
            # The count at most doubles, since the time of the first call includes the tracing of the graph.
            count = max(1, min(2 * count, int(count * _CALL_SECONDS / max(now - began, 1e-6))))
            began = now
            # All workers must run the same number of steps in a call, and stop at the same step.
            count, *stops = self.placement.sum([count, *(signals.received == number for number in _SIGNALS)])
            count = max(1, count // self.placement.workers)
            stop = next((number for number, votes in zip(_SIGNALS, stops, strict=True) if votes), 0)
            self._ask_callbacks()
            if self._is_due(settings.log_every) or self._evaluates():
                self._row(now - row_began)
                began = row_began = time.monotonic()
            if self._ends_epoch():
                self._end_epoch()
                if self._stopped and progress.window:
                    self._row(now - row_began)
            watched = self._observe()
            began, row_began = began + watched, row_began + watched
            self.monitor.progress(progress.step)
            if self._is_due(settings.checkpoint_every) or (self._evaluates() and self._is_enough()):
                self._save(scored=True)
                began = time.monotonic()
            elif stop:
                self._save()
            if stop and progress.step < settings.steps and not self._is_enough():
                raise Interrupted(stop, f" after {progress.step} steps; a checkpoint was saved: continue with --resume")

    def _is_due(self, period: int) -> bool:
        return self._stopped or self.progress.step % period == 0 or self.progress.step == self.settings.steps

    def _is_enough(self) -> bool:
        """Returns whether a callback or early stopping ends the run at this step.

        Checkpoints hold the evaluations, so a resumed run ends at the same step. Only the chief evaluates the model, so
        the other workers get the decision from the chief.
        """
        if self._stopped:
            return True
        if self.early_stopping is None:
            return False
        return bool(self.placement.sum([self.early_stopping(self.progress.measured)])[0])

    def _ask_callbacks(self) -> None:
        """Stores whether a callback wants the run to stop; all workers get the decision from the chief."""
        if self.callbacks is not None:
            wants = self.callbacks.wants_to_stop and self.placement.is_chief
            self._stopped = bool(self.placement.sum([int(wants)])[0])

    def _ends_epoch(self) -> bool:
        return self.callbacks is not None and self._is_due(self.evaluate_every or self.settings.checkpoint_every)

    def _end_epoch(self) -> None:
        if self.callbacks is not None and self.placement.is_chief:
            self.callbacks.epoch_end(self._measured)
        self._ask_callbacks()

    def _observe(self) -> float:
        """Calls the observers on the chief, and returns the seconds that they took."""
        began = time.monotonic()
        if self.placement.is_chief:
            for observer in self.observers:
                observer.reached(self.progress.step)
        return time.monotonic() - began

    def _evaluates(self) -> bool:
        return self.evaluate is not None and self._is_due(self.evaluate_every)

    def _until_boundary(self, phase_end: int) -> int:
        step, settings = self.progress.step, self.settings
        periods = [settings.log_every, settings.checkpoint_every, self.evaluate_every]
        steps = [phase_end - step, *(period - step % period for period in periods if period)]
        return min([*steps, *(observer.boundary(step) - step for observer in self.observers)])

    def _call(self, run_steps: Any, source: Input, count: int, detector: SpikeDetector) -> None:
        """Runs `count` steps, and adds their metrics to the window."""
        progress = self.progress
        step = progress.step
        rates = [self.loop.schedule(step + index) for index in range(count)]
        try:
            outcome = run_steps(source.iterator, tf.constant(step, tf.int64), tf.constant(rates, tf.float32))
            metrics = {name: values.numpy().astype(float).tolist() for name, values in outcome.items()}
        except tf.errors.OpError as problem:
            if source.problem is not None:
                raise source.problem from None  # the error of the reader, instead of TensorFlow's error about it
            if self.placement.workers > 1:
                raise lost_worker(problem) from None
            raise
        losses = metrics.get("loss", [0.0] * count)  # the steps of a private run have no losses
        for index, (loss, norm) in enumerate(zip(losses, metrics["gradient_norm"], strict=True)):
            what = detector.problem(loss, norm)
            if what is not None:
                number = SkippedBatches(progress.skipped).batch(step + index)
                examples = source.source.example_names(number)
                raise Spike(step + index + 1, what, examples, self.settings.advice)
        self._work += source.work(count)
        metrics["learning_rate"] = rates
        for name, values in metrics.items():
            progress.window.setdefault(name, []).extend(values)
        progress.losses = detector.recent
        progress.scored = [progress.scored[0] + sum(losses), progress.scored[1] + count]
        progress.step += count
        if self.callbacks is not None and self.placement.is_chief:
            self.callbacks.steps(step, metrics)

    def _row(self, seconds: float) -> None:
        progress = self.progress
        row = {name: float(np.mean(values)) for name, values in progress.window.items()}
        if self._evaluates():
            self.loop.optimizer.settle()  # on all workers, though only the chief evaluates
        if self.evaluate is not None and self._evaluates() and self.placement.is_chief:
            measured = self._evaluated(self.evaluate)
            row |= measured
            if self.early_stopping is not None:
                loss = measured.get("validation_loss", math.nan)
                progress.measured.append([measured[self.early_stopping.metric], loss])
        self.monitor.row(progress.step, row, self.loop.meter.timing(self._work, seconds))
        self._work = np.zeros(2)
        progress.ends = {"first": progress.ends.get("first", row), "last": row}
        progress.window = {}

    def _evaluated(self, evaluate: Callable[[int], Mapping[str, float]]) -> Mapping[str, float]:
        if self.callbacks is None:
            return evaluate(self.progress.step)
        self._measured = self.callbacks.evaluation(lambda: evaluate(self.progress.step))
        return self._measured

    # === Checkpoints ===

    def _save(self, *, scored: bool = False) -> None:
        progress = self.progress
        score = None
        if scored:
            score = self._score()
            progress.scored = [0.0, 0.0]
        if not self.placement.is_chief:
            return
        self.monitor.sync()
        state = {field.name: getattr(progress, field.name) for field in dataclasses.fields(progress)}
        arrays = {name: variable.numpy() for name, variable in self.loop.variables.items()}
        self.checkpoints.save(Checkpoint(progress.step, arrays, state), score)

    def _score(self) -> float | None:
        """Returns the score of the checkpoint that is saved, or None if there is none.

        It is the validation loss of an evaluation at this step. In a run without evaluations, it is the mean training
        loss since the last scored checkpoint.
        """
        if self.evaluate is None:
            return self.progress.scored[0] / self.progress.scored[1]
        return self.progress.ends["last"].get("validation_loss") if self._evaluates() else None

    def restore_newest(self) -> None:
        """Restores the newest checkpoint that the chief can read, if there is one."""
        checkpoint = self.checkpoints.latest(_LOG.warning) if self.placement.is_chief else None
        # Only the chief knows the step; the others contribute 0, so the sum broadcasts it.
        step = self.placement.sum([checkpoint.step + 1 if checkpoint else 0])[0] - 1
        if step < 0:
            return
        checkpoint = checkpoint or self.checkpoints.load(step)
        shapes = {name: tuple(variable.shape) for name, variable in self.loop.variables.items()}
        if shapes != {name: array.shape for name, array in checkpoint.arrays.items()}:
            raise CheckpointError(
                f"the checkpoint of step {checkpoint.step} belongs to another model or another version of kbert; "
                "start a new run"
            )
        for name, variable in self.loop.variables.items():
            variable.assign(checkpoint.arrays[name])
        self.progress = Progress(**checkpoint.state)
