"""The graph of a private training step: clipped gradients of all drawn examples, noise, and the update."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from kbert.training.loop.inputs import STEP_END
from kbert.training.loop.step import TrainingStep
from kbert.training.private.batches import COUNTED
from kbert.training.private.gradients import clipped_gradients
from kbert.training.private.noise import secret_generator


class PrivateStep(TrainingStep):
    """A training step with differential privacy, on one device (DP-SGD, arXiv 1607.00133).

    The update is the sum of the clipped gradients plus noise, divided by the expected number of examples. Its only
    metric is the norm of this noisy gradient. Losses would be statistics of the training data without noise.

    Args:
        clip: The norm to which the gradient of each example is clipped.
        noise_multiplier: The standard deviation of the noise, divided by `clip`.
        expected: The mean number of examples that a step draws.
        noise: Draws the noise; by default a secret generator.
        arguments: The arguments of `TrainingStep`.
    """

    def __init__(
        self,
        *arguments: Any,
        clip: float,
        noise_multiplier: float,
        expected: int,
        noise: tf.random.Generator | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(*arguments, **settings)
        self.clip = clip
        self.noise_multiplier = noise_multiplier
        self.expected = expected
        self.noise = secret_generator() if noise is None else noise

    def _metric_names(self, element_spec: Mapping[str, tf.TensorSpec]) -> list[str]:
        return ["gradient_norm"]

    def _one_step(
        self, iterator: Any, element_spec: Mapping[str, tf.TensorSpec], learning_rate: tf.Tensor, step: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        def add(_: tf.Tensor, part: tf.Tensor, *sums: tf.Tensor) -> tuple[tf.Tensor, ...]:
            batch = next(iterator)
            shaped = {name: tf.ensure_shape(values, element_spec[name].shape) for name, values in batch.items()}
            more = self.strategy.run(self._clipped, (shaped, step, part))
            return shaped[STEP_END][0], part + 1, *map(tf.add, sums, more)

        zeros = [tf.zeros(trained.variable.shape) for trained in self.optimizer.trained]
        begin = (tf.constant(False), tf.constant(0, tf.int64), *zeros)
        _, _, *sums = tf.while_loop(lambda is_end, *_: ~is_end, add, begin)
        metrics: dict[str, tf.Tensor] = self.strategy.run(self._update, (sums, learning_rate, step))
        return metrics

    def _clipped(self, batch: Mapping[str, tf.Tensor], step: tf.Tensor, part: tf.Tensor) -> list[tf.Tensor]:
        """Returns the sum of the clipped gradients of a batch for each variable of the optimizer."""
        self._seed_dropout(step, part)
        features = {name: values for name, values in batch.items() if name not in (COUNTED, STEP_END)}
        gradients = clipped_gradients(self.model, self.objective, features, batch[COUNTED], self.clip)
        return [gradients[trained.path] for trained in self.optimizer.trained]

    def _update(self, sums: list[tf.Tensor], learning_rate: tf.Tensor, step: tf.Tensor) -> dict[str, tf.Tensor]:
        deviation = self.noise_multiplier * self.clip
        noisy = [(total + self.noise.normal(tf.shape(total), stddev=deviation)) / self.expected for total in sums]
        self.optimizer.apply(noisy, learning_rate, step)
        return {"gradient_norm": tf.linalg.global_norm(noisy)}
