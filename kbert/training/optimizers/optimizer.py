"""The base of the optimizers: the variables, their weight decay and learning rates, and clipping."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kbert.optimizers.variable_rules import NOT_DECAYED, layer_rates
from kbert.training.optimizers.settings import OptimizerSettings


@dataclasses.dataclass(frozen=True)
class TrainedVariable:
    """A variable to train, with the state of the optimizer for it.

    Args:
        variable: The `tf.Variable`.
        path: The path of the Keras variable.
        decay: The weight decay, which is multiplied by the learning rate; 0 for biases and LayerNorm parameters.
        rate: The factor by which the learning rate is multiplied.
        slots: The optimizer's variables by name, each of the same shape as the variable.
    """

    variable: Any
    path: str
    decay: float
    rate: float
    slots: dict[str, Any]

    @property
    def is_kernel(self) -> bool:
        """Whether the variable is a matrix or an embedding table, rather than a bias or a LayerNorm parameter."""
        return not self.path.endswith(NOT_DECAYED)


class Optimizer(abc.ABC):
    """Base class of the optimizers, which update variables in place.

    Create an optimizer in the scope of the strategy. Call it in replica context with gradients that are already summed
    over replicas, since clipping needs the whole gradient.

    Args:
        variables: The `keras.Variable`s to train.
        settings: The settings of the optimizer.
    """

    def __init__(self, variables: Sequence[Any], settings: OptimizerSettings) -> None:
        self.settings = settings
        rates = layer_rates([variable.path for variable in variables], settings.layer_decay, settings.head_rate)
        self.trained = [
            TrainedVariable(
                variable.value,
                variable.path,
                decay=0.0 if variable.path.endswith(NOT_DECAYED) else settings.weight_decay,
                rate=rate,
                slots={
                    name: tf.Variable(tf.zeros(variable.shape), trainable=False)
                    for name in self._slot_names(variable.path)
                },
            )
            for variable, rate in zip(variables, rates, strict=True)
        ]
        self.slots = {
            f"optimizer/{name}/{trained.path}": slot for trained in self.trained for name, slot in trained.slots.items()
        }

    def clip(self, gradients: Sequence[tf.Tensor]) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Scales gradients down to the global norm `clip_norm`; returns them and their norm before scaling."""
        # Wait for all gradients: norms that are computed during the backward pass would take threads from its products.
        gradients = tf.tuple(list(gradients))
        return tf.clip_by_global_norm(gradients, self.settings.clip_norm)

    def apply(self, gradients: Sequence[tf.Tensor], learning_rate: tf.Tensor, step: tf.Tensor) -> None:
        """Updates each variable with its gradient.

        Args:
            gradients: The gradient of each variable, as dense tensors.
            learning_rate: The learning rate, a float32 scalar.
            step: The number of the step, counted from 0, an int64 scalar.
        """
        for gradient, trained in zip(gradients, self.trained, strict=True):
            rate = learning_rate if trained.rate == 1.0 else learning_rate * trained.rate
            self._update(trained, gradient, rate, step)

    @abc.abstractmethod
    def _slot_names(self, path: str) -> Sequence[str]:
        """Returns the names of the slots for the variable with this path."""

    @abc.abstractmethod
    def _update(self, trained: TrainedVariable, gradient: tf.Tensor, rate: tf.Tensor, step: tf.Tensor) -> None:
        """Updates one variable and its slots."""
