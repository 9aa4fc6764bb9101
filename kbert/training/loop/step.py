"""The graph of a training step: forward and backward passes, sums over micro-batches and replicas, and the update."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from kbert.tasks.protocol.objective import Objective
from kbert.training.loop.loss_scale import LossScale
from kbert.training.optimizers.optimizer import Optimizer

_SUM = tf.distribute.ReduceOp.SUM
_STEPS, _PARTS = 2**32, 2**16
"""The distance between the dropout seeds of two steps, and between those of two parts of a batch."""


class TrainingStep:
    """The training step, which runs on every replica.

    Args:
        model: The model, which is called with a batch and `training=True`.
        objective: The objective that is minimized.
        optimizer: The optimizer.
        loss_scale: The scale of the loss.
        accumulation: The number of micro-batches in a step, which each replica computes one after the other.
        strategy: The `tf.distribute.Strategy`.
        jit: Whether to compile the forward and backward passes with XLA. All batches must then have the same shape.
    """

    def __init__(
        self,
        model: Any,
        *,
        objective: Objective,
        optimizer: Optimizer,
        loss_scale: LossScale,
        accumulation: int,
        strategy: Any,
        jit: bool,
    ) -> None:
        self.model = model
        self.objective = objective
        self.optimizer = optimizer
        self.loss_scale = loss_scale
        self.accumulation = accumulation
        self.strategy = strategy
        self._seeds = [variable.value for variable in model.variables if is_seed(variable)]
        self._seed_starts = [int(seed.numpy()[0]) for seed in self._seeds]
        self._compute = tf.function(self._accumulated, jit_compile=True, autograph=False) if jit else self._accumulated

    def function(self, iterator: Any, element_spec: Mapping[str, tf.TensorSpec]) -> Any:
        """Returns the graph that runs many steps in one call.

        The graph takes an iterator over batches, the number of the first step (int64), and the learning rate of each
        step (float32 [K]). It runs K steps on the next batches of the iterator, and returns the values of each metric
        (float32 [K]).

        The graph is traced only once, because workers whose graphs differ in number or order would wait for each other
        forever. The iterator is an argument and not captured by the graph: TensorFlow never frees the graph, so a
        captured iterator would prepare batches until Python ends.

        Args:
            iterator: An iterator of the same type as those that the graph takes.
            element_spec: The shapes and dtypes of the part of a batch that a replica gets.
        """
        names = self._metric_names(element_spec)

        def run(iterator: Any, first: tf.Tensor, learning_rates: tf.Tensor) -> dict[str, tf.Tensor]:
            count = tf.shape(learning_rates)[0]

            def one_step(
                index: tf.Tensor, rows: dict[str, tf.TensorArray]
            ) -> tuple[tf.Tensor, dict[str, tf.TensorArray]]:
                step = first + tf.cast(index, tf.int64)
                metrics = self._one_step(iterator, element_spec, learning_rates[index], step)
                return index + 1, {name: array.write(index, metrics[name]) for name, array in rows.items()}

            rows = {name: tf.TensorArray(tf.float32, count) for name in names}
            _, rows = tf.while_loop(lambda index, _: index < count, one_step, (tf.constant(0), rows))
            return {name: array.stack() for name, array in rows.items()}

        signature = [tf.type_spec_from_value(iterator), tf.TensorSpec([], tf.int64), tf.TensorSpec([None], tf.float32)]
        return tf.function(run, input_signature=signature, autograph=False)

    def _metric_names(self, element_spec: Mapping[str, tf.TensorSpec]) -> list[str]:
        """Returns the names of the metrics of a step."""
        example = {
            name: tf.zeros([size or 1 for size in spec.shape], spec.dtype) for name, spec in element_spec.items()
        }
        others = [name for name in self.objective.loss_weights(example) if name not in self.objective.losses]
        return [*self.objective.losses, "loss", "gradient_norm", *others]

    def _one_step(
        self, iterator: Any, element_spec: Mapping[str, tf.TensorSpec], learning_rate: tf.Tensor, step: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Runs one step on the next batch of the iterator, and returns its metrics."""

        def replica_step(batch: Mapping[str, tf.Tensor], *arguments: tf.Tensor) -> dict[str, tf.Tensor]:
            # Distributed datasets lose the static batch size, so it is restored here.
            shaped = {name: tf.ensure_shape(values, element_spec[name].shape) for name, values in batch.items()}
            return self._replica_step(shaped, *arguments)

        per_replica = self.strategy.run(replica_step, (next(iterator), learning_rate, step))
        # Metrics are summed over replicas, so all replicas have the same values.
        metrics: dict[str, tf.Tensor] = self.strategy.experimental_local_results(per_replica)[0]
        return metrics

    def _replica_step(
        self, batch: Mapping[str, tf.Tensor], learning_rate: tf.Tensor, step: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        context = tf.distribute.get_replica_context()
        # The weights of the whole batch are computed first, because every part of it is divided by the same numbers.
        loss_weights = context.all_reduce(_SUM, self.objective.loss_weights(batch))
        gradients, loss_sums = self._compute(batch, loss_weights, step, context.replica_id_in_sync_group)
        gradients, loss_sums = context.all_reduce(_SUM, (gradients, loss_sums))
        gradients, norm = self.optimizer.clip(self.loss_scale.unscale(gradients))
        if self.loss_scale.dynamic:
            finite = tf.math.is_finite(norm)
            tf.cond(finite, lambda: self._apply(gradients, learning_rate, step), lambda: tf.constant(False))
            self.loss_scale.update(finite)
            norm = tf.where(finite, norm, 0.0)  # a skipped step changes no weights
        else:
            self._apply(gradients, learning_rate, step)
        metrics = {name: loss_sums[name] / loss_weights[name] for name in loss_sums}
        metrics["loss"] = tf.add_n([metrics[name] for name in self.objective.losses])
        metrics["gradient_norm"] = norm
        return metrics

    def _apply(self, gradients: Sequence[tf.Tensor], learning_rate: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        self.optimizer.apply(gradients, learning_rate, step)
        return tf.constant(True)

    def _accumulated(
        self, batch: Mapping[str, tf.Tensor], loss_weights: Mapping[str, tf.Tensor], step: tf.Tensor, replica: Any
    ) -> tuple[list[tf.Tensor], dict[str, tf.Tensor]]:
        parts = self.accumulation
        first = tf.cast(replica, tf.int64) * parts  # the number of this replica's first micro-batch among those of all
        if parts == 1:
            return self._gradients(batch, loss_weights, step, first)
        split = {name: _split(values, parts) for name, values in batch.items()}

        def part(index: tf.Tensor) -> dict[str, tf.Tensor]:
            return {name: values[index] for name, values in split.items()}

        def add(index: tf.Tensor, *sums: Any) -> tuple[Any, ...]:
            more = self._gradients(part(index), loss_weights, step, first + tf.cast(index, tf.int64))
            return index + 1, *tf.nest.map_structure(tf.add, sums, more)

        begin = (tf.constant(1), *self._gradients(part(tf.constant(0)), loss_weights, step, first))
        _, gradients, loss_sums = tf.while_loop(lambda index, *_: index < parts, add, begin)
        return gradients, loss_sums

    def _gradients(
        self,
        batch: Mapping[str, tf.Tensor],
        loss_weights: Mapping[str, tf.Tensor],
        step: tf.Tensor,
        part: tf.Tensor,
    ) -> tuple[list[tf.Tensor], dict[str, tf.Tensor]]:
        self._seed_dropout(step, part)
        variables = [trained.read for trained in self.optimizer.trained]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            loss_sums = self.objective.loss_sums(self.model(batch, training=True), batch)
            loss = tf.add_n([loss_sums[name] / loss_weights[name] for name in self.objective.losses])
            loss = self.loss_scale.scale(loss)
        gradients = tape.gradient(loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        dense = [trained.dense(each) for trained, each in zip(self.optimizer.trained, gradients, strict=True)]
        return dense, loss_sums

    def _seed_dropout(self, step: tf.Tensor, part: tf.Tensor) -> None:
        """Sets the seeds of dropout for a part of the batch of a step."""
        for seed, start in zip(self._seeds, self._seed_starts, strict=True):
            # Dropout depends only on the step and the part of the batch. Two replicas therefore use the same dropout as
            # two micro-batches of one replica, and a resumed run has no generator state to restore.
            seed.assign(tf.stack([start + step * _STEPS, part * _PARTS]))


def is_seed(variable: Any) -> bool:
    """Returns whether a `keras.Variable` is the state of a random number generator."""
    return bool(variable.path.endswith("seed_generator_state"))


def _split(values: tf.Tensor, parts: int) -> tf.Tensor:
    """Reshapes [B, ...] to [parts, B / parts, ...], and keeps static dimensions static, as XLA requires."""
    rest = values.shape[1:]
    dynamic = tf.shape(values)
    sizes = [dynamic[axis + 1] if size is None else size for axis, size in enumerate(rest)]
    return tf.reshape(values, [parts, values.shape[0] // parts, *sizes])
