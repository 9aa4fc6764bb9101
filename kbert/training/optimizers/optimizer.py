"""The base of the optimizers: the variables, their weight decay and learning rates, and clipping."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from kbert.optimizers.variable_rules import NOT_DECAYED, layer_rates
from kbert.training.optimizers.settings import OptimizerSettings
from kbert.training.optimizers.used_rows import UsedRows


@dataclasses.dataclass(frozen=True)
class TrainedVariable:
    """A variable to train, with the state of the optimizer for it.

    Args:
        variable: The `tf.Variable` that the optimizer updates.
        path: The path of the Keras variable.
        decay: The weight decay, which is multiplied by the learning rate; 0 for biases and LayerNorm parameters.
        rate: The factor by which the learning rate is multiplied.
        slots: The optimizer's variables by name, each of the same shape as the variable.
        rows: If only some rows of a table are trained, these rows, whose values are `variable`.
    """

    variable: Any
    path: str
    decay: float
    rate: float
    slots: dict[str, Any]
    rows: UsedRows | None = None

    @property
    def read(self) -> Any:
        """The `tf.Variable` that the model reads."""
        return self.variable if self.rows is None else self.rows.table

    def dense(self, gradient: Any) -> tf.Tensor:
        """Returns the gradient of `variable` as a dense tensor, given that of `read`."""
        return tf.convert_to_tensor(gradient) if self.rows is None else self.rows.gradient(gradient)

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
        used_rows: The numbers of the rows that the run reads, for tables of which it reads only some: by the paths of
            the variables. An optimizer that needs whole tables ignores them.
    """

    trains_rows: ClassVar[bool] = False
    """Whether the optimizer can train some rows of a table."""

    def __init__(
        self, variables: Sequence[Any], settings: OptimizerSettings, used_rows: Mapping[str, np.ndarray] | None = None
    ) -> None:
        self.settings = settings
        rates = layer_rates([variable.path for variable in variables], settings.layer_decay, settings.head_rate)
        used_rows = used_rows if used_rows and self.trains_rows else {}
        self.trained = [
            self._trained(variable, rate, used_rows.get(variable.path))
            for variable, rate in zip(variables, rates, strict=True)
        ]
        self.slots = {
            f"optimizer/{name}/{trained.path}": slot for trained in self.trained for name, slot in trained.slots.items()
        }
        for trained in self.trained:
            if trained.rows is not None:
                self.slots[f"optimizer/rows/{trained.path}"] = trained.rows.values
                self.slots[f"optimizer/pending_decay/{trained.path}"] = trained.rows.pending_decay

    def _trained(self, variable: Any, rate: float, used_rows: np.ndarray | None) -> TrainedVariable:
        rows = None if used_rows is None else UsedRows(variable.value, used_rows)
        updated = variable.value if rows is None else rows.values
        return TrainedVariable(
            updated,
            variable.path,
            decay=0.0 if variable.path.endswith(NOT_DECAYED) else self.settings.weight_decay,
            rate=rate,
            slots={
                name: tf.Variable(tf.zeros(updated.shape), trainable=False) for name in self._slot_names(variable.path)
            },
            rows=rows,
        )

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
            if trained.rows is not None:
                trained.rows.write(1.0 - rate * trained.decay)

    def settle(self) -> None:
        """Completes the tables of which only some rows are trained, before their weights are used or stored."""
        for trained in self.trained:
            if trained.rows is not None:
                trained.rows.settle()

    @abc.abstractmethod
    def _slot_names(self, path: str) -> Sequence[str]:
        """Returns the names of the slots for the variable with this path."""

    @abc.abstractmethod
    def _update(self, trained: TrainedVariable, gradient: tf.Tensor, rate: tf.Tensor, step: tf.Tensor) -> None:
        """Updates one variable and its slots."""
