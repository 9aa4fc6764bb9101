"""What kbert's Keras optimizers share: whose weights decay, the rate of each layer, and clipping by the global norm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kbert.errors import UsageError
from kbert.optimizers.variable_rules import NOT_DECAYED, layer_rates


class BertOptimizer(keras.optimizers.Optimizer):
    """A Keras optimizer with the rules of the BERT paper.

    Args:
        learning_rate: A number, or a schedule such as `kbert.WarmupSchedule`.
        weight_decay: Times the learning rate, taken off each weight; not off biases and LayerNorm.
        layer_decay: Each block learns at this times the rate of the block above it; the embeddings are below all.
        head_rate: What the learning rate of the pooler and of heads is multiplied by.
        global_clipnorm: Gradients are scaled down to this global norm; None: they are not.
        options: Those of `keras.optimizers.Optimizer`.

    Raises:
        UsageError: A value is out of range.
    """

    slot_names: tuple[str, ...] = ()
    """What is remembered of a variable, of its shape."""

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
            global_clipnorm = None  # Keras clips in one way alone
        super().__init__(learning_rate, weight_decay=weight_decay, global_clipnorm=global_clipnorm, **options)
        self.layer_decay = layer_decay
        self.head_rate = head_rate

    def build(self, variables: Sequence[Any]) -> None:
        """Makes what is remembered of each variable."""
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
        """What is remembered of the variable of that name."""
        return self.slot_names

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Updates one variable and its slots."""
        index = self._get_variable_index(variable)
        rate = ops.cast(learning_rate, variable.dtype) * self._rates[index]
        # A gradient of look-ups is a list of rows; BERT's optimizers move all rows.
        gradient = ops.cast(ops.convert_to_tensor(gradient, sparse=False), variable.dtype)
        decay = self.weight_decay if self._decays[index] else 0.0
        self.update(variable, self._paths[index], self._slots[index], gradient, rate, decay)

    def update(self, variable: Any, path: str, slots: dict[str, Any], gradient: Any, rate: Any, decay: float) -> None:
        """Updates one variable and its slots.

        Args:
            variable: Keras's, or the one of the backend inside.
            path: Its name.
            slots: What is remembered of it.
            gradient: Dense.
            rate: Its own learning rate.
            decay: Its weight decay.
        """
        raise NotImplementedError

    def decays(self, variable: Any) -> bool:
        """Whether a variable has weight decay: a matrix or a table that `exclude_from_weight_decay` does not name."""
        return self._decays[self._get_variable_index(variable)]

    def _apply_weight_decay(self, variables: Sequence[Any]) -> None:
        """Nothing: `update` takes it off, since where it belongs differs between optimizers."""

    def assign_decayed(self, variable: Any, rate: Any, decay: float, update: Any) -> None:
        """Sets a variable to itself, less decay and less `rate` times an update."""
        value = ops.convert_to_tensor(variable)
        if decay:
            value = value * (1.0 - rate * decay)
        self.assign(variable, value - rate * update)

    def get_config(self) -> dict[str, Any]:
        """The arguments, as plain data."""
        return super().get_config() | {"layer_decay": self.layer_decay, "head_rate": self.head_rate}


class MomentOptimizer(BertOptimizer):
    """An optimizer that remembers the mean of gradients and of their squares.

    Args:
        learning_rate: A number, or a schedule such as `kbert.WarmupSchedule`.
        beta_1: Decay of the mean of gradients.
        beta_2: Decay of the mean of squared gradients.
        epsilon: Added to the root of the latter, after its correction if there is one.
        bias_correction: Correct the means for their start at 0, as Adam does and the original BERT does not.
        options: Those of `BertOptimizer`.
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
        """Adam's step of length 1, after `slots` have seen the gradient."""
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
        """The arguments, as plain data."""
        names = ("beta_1", "beta_2", "epsilon", "bias_correction")
        return super().get_config() | {name: getattr(self, name) for name in names}
