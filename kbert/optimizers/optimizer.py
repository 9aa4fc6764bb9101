"""The base class of kbert's optimizers: weight decay, learning rates by layer, and clipping by the global norm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kbert.errors import UsageError
from kbert.optimizers.variable_rules import NOT_DECAYED, layer_rates


class BertOptimizer(keras.optimizers.Optimizer):
    """The base class of Keras optimizers with the settings of the BERT paper.

    Args:
        learning_rate: The learning rate: a number, or a schedule such as `kbert.WarmupSchedule`.
        weight_decay: The decoupled weight decay. Each step subtracts the weight times this factor and the learning
            rate, except for biases and LayerNorm.
        layer_decay: The learning rate of a block divided by that of the block above it. The embeddings count as a block
            below the first.
        head_rate: The factor of the learning rate of the pooler and the heads.
        global_clipnorm: The maximum of the global norm of the gradients. Larger gradients are scaled down to it; None
            disables this.
        options: The options of `keras.optimizers.Optimizer`.

    Raises:
        UsageError: A value is out of range.
    """

    slot_names: tuple[str, ...] = ()
    """The names of the state variables. Each has the shape of its weight."""

    def __init__(
        self,
        learning_rate: Any,
        *,
        weight_decay: float = 0.01,
        layer_decay: float = 1.0,
        head_rate: float = 1.0,
        global_clipnorm: float | None = 1.0,
        **options: Any,
    ) -> None:
        if not weight_decay >= 0:
            raise UsageError(f"weight_decay must be at least 0. Received: weight_decay={weight_decay}")
        if not 0 < layer_decay <= 1:
            raise UsageError(f"layer_decay must be above 0 and at most 1. Received: layer_decay={layer_decay}")
        if not 0 < head_rate < math.inf:
            raise UsageError(f"head_rate must be above 0. Received: head_rate={head_rate}")
        if isinstance(learning_rate, int):
            learning_rate = float(learning_rate)
        if options.get("clipnorm") is not None or options.get("clipvalue") is not None:
            global_clipnorm = None  # Keras accepts only one kind of clipping
        super().__init__(learning_rate, weight_decay=weight_decay, global_clipnorm=global_clipnorm, **options)
        self.layer_decay = layer_decay
        self.head_rate = head_rate

    def build(self, variables: Sequence[Any]) -> None:
        """Creates the state variables of each variable."""
        if self.built:
            return
        super().build(variables)
        self._paths = [variable.path for variable in variables]
        self._rates = layer_rates(self._paths, self.layer_decay, self.head_rate)
        self._decays = [
            not variable.path.endswith(NOT_DECAYED) and bool(self._use_weight_decay(variable)) for variable in variables
        ]
        self._slots = [
            {name: self.add_variable_from_reference(variable, name=name) for name in self.slots_of(variable.path)}
            for variable in variables
        ]

    def slots_of(self, path: str) -> Sequence[str]:
        """Returns the names of the state variables of the variable with this name."""
        return self.slot_names

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Updates a variable and its state."""
        index = self._get_variable_index(variable)
        rate = ops.cast(learning_rate, variable.dtype) * self._rates[index]
        # The gradient of a look-up is sparse, a list of rows; these optimizers update all rows.
        gradient = ops.cast(ops.convert_to_tensor(gradient, sparse=False), variable.dtype)
        decay = self.weight_decay if self._decays[index] else 0.0
        self.update(variable, self._paths[index], self._slots[index], gradient, rate, decay)

    def update(self, variable: Any, path: str, slots: dict[str, Any], gradient: Any, rate: Any, decay: float) -> None:
        """Updates a variable and its state variables.

        Args:
            variable: The variable: a Keras variable, or the variable of the backend inside it.
            path: The name of the variable.
            slots: The state variables of the variable, by name.
            gradient: The dense gradient.
            rate: The learning rate of this variable.
            decay: The weight decay of this variable.
        """
        raise NotImplementedError

    def decays(self, variable: Any) -> bool:
        """Returns whether a variable has weight decay.

        It does if it is a matrix or a table and `exclude_from_weight_decay` does not name it.
        """
        return self._decays[self._get_variable_index(variable)]

    def _apply_weight_decay(self, variables: Sequence[Any]) -> None:
        """Does nothing. `update` applies the decay, since each optimizer applies it at a different point."""

    def assign_decayed(self, variable: Any, rate: Any, decay: float, update: Any) -> None:
        """Subtracts the weight decay, and `rate` times an update, from a variable."""
        value = ops.convert_to_tensor(variable)
        if decay:
            value = value * (1.0 - rate * decay)
        self.assign(variable, value - rate * update)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor as plain data."""
        return super().get_config() | {"layer_decay": self.layer_decay, "head_rate": self.head_rate}


class MomentOptimizer(BertOptimizer):
    """The base class of optimizers with running means of the gradients and of the squared gradients, such as Adam.

    Args:
        learning_rate: The learning rate: a number, or a schedule such as `kbert.WarmupSchedule`.
        beta_1: The decay rate of the running mean of the gradients.
        beta_2: The decay rate of the running mean of the squared gradients.
        epsilon: The constant that is added to the square root of the latter mean, after its bias correction if enabled.
        bias_correction: Whether the means are corrected for their start at 0, as in Adam. The
            original BERT does not do this.
        options: The options of `BertOptimizer`.
    """

    slot_names = ("mean", "square")

    def __init__(
        self,
        learning_rate: Any,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-6,
        bias_correction: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        self.beta_1, self.beta_2 = beta_1, beta_2
        self.epsilon = epsilon
        self.bias_correction = bias_correction

    def direction(self, slots: dict[str, Any], gradient: Any) -> Any:
        """Adds the gradient to the running means in `slots`, and returns Adam's update for a learning rate of 1."""
        mean = self.beta_1 * slots["mean"] + (1 - self.beta_1) * gradient
        square = self.beta_2 * slots["square"] + (1 - self.beta_2) * ops.square(gradient)
        self.assign(slots["mean"], mean)
        self.assign(slots["square"], square)
        if self.bias_correction:
            step = ops.cast(self.iterations + 1, "float32")
            mean = mean / (1 - ops.power(self.beta_1, step))
            square = square / (1 - ops.power(self.beta_2, step))
        return mean / (ops.sqrt(square) + self.epsilon)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor as plain data."""
        names = ("beta_1", "beta_2", "epsilon", "bias_correction")
        return super().get_config() | {name: getattr(self, name) for name in names}
