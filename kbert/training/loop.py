"""The training loop: an own step under any tf.distribute strategy, many steps a call, exact to resume.

Keras's `Model.fit` is not used: in Keras 3 it fails on several workers, and on several replicas when it accumulates
gradients or runs several steps a call.
"""

from __future__ import annotations

import dataclasses
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from kbert.errors import CheckpointError, KbertError, TrainingError, UsageError
from kbert.training.checkpoints import Checkpoint, Checkpoints
from kbert.training.monitor import Monitor
from kbert.training.objectives import Objective
from kbert.training.optimizers import AdamW, AdamWSettings

_CALL_SECONDS = 1.0
"""How long a call of many steps should take: long enough to cost nothing, short enough to stop at."""


class BatchSource(Protocol):
    """Where batches come from: the batch of step k is a function of k."""

    batch_size: int
    """Examples a batch, over all replicas."""

    @property
    def element_spec(self) -> Mapping[str, tf.TensorSpec]:
        """What a batch looks like."""

    def batches(self, start: int = 0) -> Iterator[dict[str, np.ndarray]]:
        """Yields the batches of steps `start`, `start` + 1, ..."""


@dataclasses.dataclass(frozen=True)
class LoopSettings:
    """How the loop runs; nothing here changes what is learnt, but for `steps` and `accumulation`.

    Args:
        steps: Steps in all.
        accumulation: Micro-batches a step, one after the other on each replica.
        log_every: Steps a row of metrics, which has their means.
        checkpoint_every: Steps between checkpoints.
    """

    steps: int
    accumulation: int = 1
    log_every: int = 10
    checkpoint_every: int = 500

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if getattr(self, field.name) < 1:
                raise UsageError(f"{field.name} must be at least 1. Received: {getattr(self, field.name)}")


def check_batch_size(batch_size: int, settings: LoopSettings, strategy: Any) -> None:
    """Checks that batches can be split.

    Raises:
        UsageError: The batch size does not divide among replicas and micro-batches.
    """
    replicas = strategy.num_replicas_in_sync
    if batch_size % (replicas * settings.accumulation):
        raise UsageError(
            "batch_size must be a multiple of the replicas times the micro-batches. Received: "
            f"batch_size={batch_size}, {replicas} x {settings.accumulation}"
        )


class Interrupted(KeyboardInterrupt):
    """A signal ended the run; a checkpoint was saved."""

    def __init__(self, signal_number: int, step: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signal_number).name} after {step} steps; a checkpoint was saved")
        self.exit_code = 128 + signal_number


class TrainingLoop:
    """Trains a model.

    Args:
        model: Built in the scope of `strategy`; called with a batch and `training=True`.
        objective: What is minimized.
        batches: Where batches come from.
        schedule: The learning rate of each step.
        optimizer: The constants of AdamW.
        settings: How the loop runs.
        strategy: Where it runs.

    Raises:
        UsageError: The batch size does not divide among replicas and micro-batches.
    """

    def __init__(
        self,
        model: Any,
        *,
        objective: Objective,
        batches: BatchSource,
        schedule: Callable[[int], float],
        optimizer: AdamWSettings,
        settings: LoopSettings,
        strategy: Any,
    ) -> None:
        check_batch_size(batches.batch_size, settings, strategy)
        self.model = model
        self.objective = objective
        self.batches = batches
        self.schedule = schedule
        self.settings = settings
        self.strategy = strategy
        with strategy.scope():
            self.optimizer = AdamW(model.trainable_variables, optimizer)
        self.variables: dict[str, Any] = {variable.path: variable.value for variable in model.variables}
        self.variables |= self.optimizer.slots
        self._run_steps = tf.function(self._steps_in_graph, reduce_retracing=True)

    # === The step ===

    def _steps_in_graph(self, iterator: Any, first: tf.Tensor, learning_rates: tf.Tensor) -> dict[str, tf.Tensor]:
        """Runs as many steps as there are learning rates, float32 [K]; gives each metric as float32 [K]."""
        names = (*self.objective.losses, "loss", "gradient_norm", *self._other_metrics())
        count = tf.shape(learning_rates)[0]
        rows = {name: tf.TensorArray(tf.float32, count) for name in dict.fromkeys(names)}
        for index in tf.range(count):
            step = first + tf.cast(index, tf.int64)
            per_replica = self.strategy.run(self._replica_step, (next(iterator), learning_rates[index], step))
            # Metrics are summed over replicas, so all replicas have the same.
            metrics = self.strategy.experimental_local_results(per_replica)[0]
            rows = {name: array.write(index, metrics[name]) for name, array in rows.items()}
        return {name: array.stack() for name, array in rows.items()}

    def _other_metrics(self) -> list[str]:
        example = {
            name: tf.zeros([size or 1 for size in spec.shape], spec.dtype)
            for name, spec in self.batches.element_spec.items()
        }
        return [name for name in self.objective.denominators(example) if name not in self.objective.losses]

    def _replica_step(
        self, batch: Mapping[str, tf.Tensor], learning_rate: tf.Tensor, step: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        context = tf.distribute.get_replica_context()
        # Of the whole batch, before any part of it is worked on: every part is divided by the same numbers.
        denominators = context.all_reduce(tf.distribute.ReduceOp.SUM, self.objective.denominators(batch))
        gradients, numerators = self._accumulated(batch, denominators)
        gradients, numerators = context.all_reduce(tf.distribute.ReduceOp.SUM, (gradients, numerators))
        gradients, norm = self.optimizer.clip(gradients)
        self.optimizer.apply(gradients, learning_rate, step)
        metrics = {name: numerators[name] / denominators[name] for name in numerators}
        metrics["loss"] = tf.add_n([metrics[name] for name in self.objective.losses])
        metrics["gradient_norm"] = norm
        return metrics

    def _accumulated(
        self, batch: Mapping[str, tf.Tensor], denominators: Mapping[str, tf.Tensor]
    ) -> tuple[list[tf.Tensor], dict[str, tf.Tensor]]:
        parts = self.settings.accumulation
        if parts == 1:
            return self._gradients(batch, denominators)
        size = tf.shape(next(iter(batch.values())))[0] // parts

        def part(index: tf.Tensor) -> dict[str, tf.Tensor]:
            return {name: values[index * size : (index + 1) * size] for name, values in batch.items()}

        gradients, numerators = self._gradients(part(tf.constant(0)), denominators)
        for index in tf.range(1, parts):
            more_gradients, more_numerators = self._gradients(part(index), denominators)
            gradients = [total + more for total, more in zip(gradients, more_gradients, strict=True)]
            numerators = {name: total + more_numerators[name] for name, total in numerators.items()}
        return gradients, numerators

    def _gradients(
        self, batch: Mapping[str, tf.Tensor], denominators: Mapping[str, tf.Tensor]
    ) -> tuple[list[tf.Tensor], dict[str, tf.Tensor]]:
        variables = self.optimizer.targets
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            numerators = self.objective.numerators(self.model(batch, training=True), batch)
            loss = tf.add_n([numerators[name] / denominators[name] for name in self.objective.losses])
        gradients = tape.gradient(loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return [tf.convert_to_tensor(gradient) for gradient in gradients], numerators

    # === The run ===

    def run(
        self,
        monitor: Monitor,
        checkpoints: Checkpoints,
        *,
        resume: bool = False,
        evaluate: Callable[[int], Mapping[str, float]] | None = None,
        evaluate_every: int = 0,
    ) -> dict[str, Any]:
        """Trains until `settings.steps` are done.

        Args:
            monitor: Where metrics go.
            checkpoints: Where checkpoints go.
            resume: Go on from the newest checkpoint that can be read, if there is one.
            evaluate: Called each `evaluate_every` steps and at the end with the step; gives more metrics for the row.
            evaluate_every: Steps.

        Returns:
            The first and the last row of training metrics, as "first" and "last".

        Raises:
            TrainingError: The loss is not a number.
            CheckpointError: No checkpoint can be read, or it is of another model.
            Interrupted: SIGINT or SIGTERM came; a checkpoint was saved.
        """
        window: dict[str, list[float]] = {}
        ends: dict[str, Any] = {}
        step = 0
        checkpoint = checkpoints.latest(_warn) if resume else None
        if checkpoint is not None:
            self._restore(checkpoint)
            step, window, ends = checkpoint.step, checkpoint.state["window"], checkpoint.state["ends"]

        def save() -> None:
            monitor.sync()
            state = {"window": window, "ends": ends}
            arrays = {name: variable.numpy() for name, variable in self.variables.items()}
            checkpoints.save(Checkpoint(step, arrays, state))

        with _Signals() as signals, monitor.running(step):
            iterator = self._iterator(step)
            count = 1
            began = row_began = time.monotonic()
            while step < self.settings.steps:
                count = min(count, self._until_boundary(step, evaluate_every))
                metrics = self._call(iterator, step, count)
                for name, values in metrics.items():
                    window.setdefault(name, []).extend(values)
                step += count
                now = time.monotonic()
                # One pace at a time: the first call also traces the graph.
                count = max(1, min(2 * count, int(count * _CALL_SECONDS / max(now - began, 1e-6))))
                began = now
                evaluating = evaluate is not None and (step % evaluate_every == 0 or step == self.settings.steps)
                if evaluating or step % self.settings.log_every == 0 or step == self.settings.steps:
                    row = {name: float(np.mean(values)) for name, values in window.items()}
                    tokens = row.pop("tokens") * len(window["tokens"])
                    seconds = now - row_began
                    if evaluate is not None and evaluating:
                        row |= evaluate(step)
                    monitor.row(step, row, {"seconds": seconds, "tokens_per_second": tokens / seconds})
                    ends = {"first": ends.get("first", row), "last": row}
                    window = {}
                    began = row_began = time.monotonic()
                monitor.progress(step)
                if signals.received or step % self.settings.checkpoint_every == 0 or step == self.settings.steps:
                    save()
                    began = time.monotonic()
                if signals.received and step < self.settings.steps:
                    raise Interrupted(signals.received, step)
        return ends

    def _call(self, iterator: Any, step: int, count: int) -> dict[str, list[float]]:
        rates = [self.schedule(step + index) for index in range(count)]
        try:
            outcome = self._run_steps(iterator, tf.constant(step, tf.int64), tf.constant(rates, tf.float32))
        except tf.errors.OpError:
            if self._problem is not None:
                raise self._problem from None  # what the reader said, not where TensorFlow heard of it
            raise
        metrics = {name: values.numpy().astype(float).tolist() for name, values in outcome.items()}
        for index, loss in enumerate(metrics["loss"]):
            if not np.isfinite(loss):
                raise TrainingError(
                    f"the loss is {loss} at step {step + index + 1}; lower the learning rate or lengthen the warm-up "
                    "(the last checkpoint is of before)"
                )
        return {**metrics, "learning_rate": rates, "tokens": [self._tokens.pop(0) for _ in range(count)]}

    def _until_boundary(self, step: int, evaluate_every: int) -> int:
        settings = self.settings
        periods = [settings.log_every, settings.checkpoint_every, evaluate_every]
        return min([settings.steps - step, *(period - step % period for period in periods if period)])

    def _iterator(self, start: int) -> Any:
        self._tokens: list[float] = []
        self._problem: KbertError | None = None

        def generate() -> Iterator[dict[str, np.ndarray]]:
            try:
                for batch in self.batches.batches(start):
                    self._tokens.append(float(batch["input_mask"].sum()))
                    yield batch
            except KbertError as problem:
                self._problem = problem
                raise

        dataset = tf.data.Dataset.from_generator(generate, output_signature=dict(self.batches.element_spec))
        options = tf.data.Options()
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
        dataset = dataset.prefetch(4).with_options(options)
        return iter(self.strategy.experimental_distribute_dataset(dataset))

    def _restore(self, checkpoint: Checkpoint) -> None:
        shapes = {name: tuple(variable.shape) for name, variable in self.variables.items()}
        if shapes != {name: array.shape for name, array in checkpoint.arrays.items()}:
            raise CheckpointError(
                f"the checkpoint of step {checkpoint.step} is of another model, or of another version of kbert; "
                "start the run anew"
            )
        for name, variable in self.variables.items():
            variable.assign(checkpoint.arrays[name])


def _warn(message: str) -> None:
    print(f"Warning: {message}", file=sys.stderr)


class _Signals:
    """Remembers SIGINT and SIGTERM, so that the loop can end at a step; a second one ends the program."""

    def __init__(self) -> None:
        self.received = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Signals:
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._before[number] = signal.signal(number, self._remember)
            except ValueError:
                break  # not the main thread: signals are somebody else's
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _remember(self, number: int, _: FrameType | None) -> None:
        if self.received:
            raise KeyboardInterrupt
        self.received = number
