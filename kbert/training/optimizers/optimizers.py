"""AdamW with the rules of the BERT paper, LAMB, Muon and SGD."""

from __future__ import annotations

import abc
import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kbert.errors import UsageError
from kbert.optimizers.variable_rules import BLOCK_KERNEL, NOT_DECAYED, QKV, layer_rates
from kbert.options import check_option
from kbert.training.optimizers.newton_schulz import orthogonalized
from kbert.training.options import TrainingOptions


@dataclasses.dataclass(frozen=True)
class OptimizerSettings:
    """What an optimizer is told (google-research/bert, optimization.py).

    Args:
        name: "adamw", "lamb" (arXiv 1904.00962), "muon" or "sgd".
        beta_1: Decay of the mean of gradients.
        beta_2: Decay of the mean of squared gradients.
        epsilon: Added to the root of the latter, after its correction if there is one.
        weight_decay: Times the learning rate, taken off each weight; not off biases and LayerNorm.
        bias_correction: Correct the means for their start at 0, as Adam does and the original BERT does not.
        clip_norm: Gradients are scaled down to this global norm.
        layer_decay: Each block learns at this times the rate of the block above it; the embeddings are below all.
        head_rate: The factor of the learning rate of the pooler and the task's head.

    Raises:
        UsageError: There is no optimizer of that name, or a constant is invalid.
    """

    name: str = "adamw"
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-6
    weight_decay: float = 0.01
    bias_correction: bool = False
    clip_norm: float = 1.0
    layer_decay: float = 1.0
    head_rate: float = 1.0

    def __post_init__(self) -> None:
        check_option(TrainingOptions, "optimizer", self.name)
        check_option(TrainingOptions, "layer_decay", self.layer_decay)
        check_option(TrainingOptions, "weight_decay", self.weight_decay)
        if not 0 < self.head_rate < math.inf:
            raise UsageError(f"head_rate must be above 0. Received: head_rate={self.head_rate}")

    @classmethod
    def from_options(
        cls, options: TrainingOptions, *, bias_correction: bool, head_rate: float = 1.0
    ) -> OptimizerSettings:
        """The optimizer that the options of a run ask for.

        Args:
            options: They name the optimizer and its constants.
            bias_correction: Correct the means for their start at 0.
            head_rate: The factor of the learning rate of the pooler and the task's head.
        """
        return cls(
            options.optimizer,
            weight_decay=options.weight_decay,
            layer_decay=options.layer_decay,
            bias_correction=bias_correction,
            head_rate=head_rate,
        )


@dataclasses.dataclass(frozen=True)
class TrainedVariable:
    """A variable to train, and what an optimizer knows of it.

    Args:
        variable: The `tf.Variable`.
        path: Its name.
        decay: Weight decay, times the learning rate; 0 for biases and LayerNorm.
        rate: What its learning rate is multiplied by.
        slots: What is remembered of it, by name; of its shape.
    """

    variable: Any
    path: str
    decay: float
    rate: float
    slots: dict[str, Any]

    @property
    def is_kernel(self) -> bool:
        """A matrix or a table: no bias, and none of LayerNorm's."""
        return not self.path.endswith(NOT_DECAYED)


class Optimizer(abc.ABC):
    """Updates variables in place.

    Make it in the scope of the strategy, and call it in replica context with gradients that are already
    summed over replicas: clipping must see the whole gradient.

    Args:
        variables: The `keras.Variable`s to train.
        settings: Its constants.
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
        """Scales gradients down to the global norm `clip_norm`; gives them and the norm before."""
        # All at once, after the backward pass: norms beside its products would take threads from those.
        gradients = tf.tuple(list(gradients))
        return tf.clip_by_global_norm(gradients, self.settings.clip_norm)

    def apply(self, gradients: Sequence[tf.Tensor], learning_rate: tf.Tensor, step: tf.Tensor) -> None:
        """Updates each variable with its gradient.

        Args:
            gradients: One a variable, dense.
            learning_rate: float32 scalar.
            step: int64 scalar, counted from 0.
        """
        for gradient, trained in zip(gradients, self.trained, strict=True):
            rate = learning_rate if trained.rate == 1.0 else learning_rate * trained.rate
            self._update(trained, gradient, rate, step)

    @abc.abstractmethod
    def _slot_names(self, path: str) -> Sequence[str]:
        """What is remembered of the variable of that name."""

    @abc.abstractmethod
    def _update(self, trained: TrainedVariable, gradient: tf.Tensor, rate: tf.Tensor, step: tf.Tensor) -> None:
        """Updates one variable and its slots."""


class AdamW(Optimizer):
    """Adam with the decay beside it (arXiv 1711.05101), by one fused operation a variable."""

    def _slot_names(self, path: str) -> Sequence[str]:
        return ("mean", "square")

    def _update(self, trained: TrainedVariable, gradient: Any, rate: Any, step: Any) -> None:
        settings, variable = self.settings, trained.variable
        # The fused operation corrects by these powers of beta; at 0 it corrects nothing.
        powers = tf.constant(0.0), tf.constant(0.0)
        epsilon = tf.constant(settings.epsilon)
        if settings.bias_correction:
            power = tf.cast(step + 1, tf.float32)
            powers = tf.pow(settings.beta_1, power), tf.pow(settings.beta_2, power)
            # It adds epsilon before the correction of the root. The paper (arXiv 1412.6980, algorithm 1) and PyTorch
            # add it after, where it weighs up to thirty times less in the first steps.
            epsilon *= tf.sqrt(1.0 - powers[1])
        if trained.decay:
            # Before the update, so that the decay is a part of the weight that the gradient was taken at.
            variable.assign(variable * (1.0 - rate * trained.decay))
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=trained.slots["mean"].handle,
            v=trained.slots["square"].handle,
            beta1_power=powers[0],
            beta2_power=powers[1],
            lr=rate,
            beta1=settings.beta_1,
            beta2=settings.beta_2,
            epsilon=epsilon,
            grad=gradient,
        )


class Muon(AdamW):
    """Momentum that is made orthogonal, for the kernels of the blocks; AdamW for all others (Jordan et al. 2024).

    Its steps are as long as AdamW's usually are, so that one learning rate and one decay do for both
    (arXiv 2502.16982, section 2.2). Queries, keys and values are three matrices in one kernel.

    Of a step it takes about 4.5 H / T of the arithmetic, for width H and T tokens: it is for large batches.
    """

    momentum = 0.95

    def _slot_names(self, path: str) -> Sequence[str]:
        return ("mean",) if BLOCK_KERNEL.search(path) else super()._slot_names(path)

    def _update(self, trained: TrainedVariable, gradient: Any, rate: Any, step: Any) -> None:
        if not BLOCK_KERNEL.search(trained.path):
            super()._update(trained, gradient, rate, step)
            return
        variable, momentum = trained.variable, self.momentum
        mean = trained.slots["mean"]
        first = mean.assign(momentum * mean + (1 - momentum) * gradient)
        ahead = momentum * first + (1 - momentum) * gradient  # Nesterov's
        matrices = tf.split(ahead, 3 if QKV.search(trained.path) else 1, axis=1)
        # The entries of an orthonormal matrix [M, N] have a mean square of 1 / max(M, N), those of AdamW's steps some
        # 0.2².
        length = 0.2 * max(matrices[0].shape) ** 0.5
        update = tf.concat([length * orthogonalized(matrix) for matrix in matrices], axis=1)
        variable.assign(variable * (1.0 - rate * trained.decay) - rate * update)


class Lamb(Optimizer):
    """Adam's direction at a length in proportion to the weights', for very large batches (arXiv 1904.00962).

    Biases and LayerNorm take Adam's own length.
    """

    def _slot_names(self, path: str) -> Sequence[str]:
        return ("mean", "square")

    def _update(self, trained: TrainedVariable, gradient: Any, rate: Any, step: Any) -> None:
        settings, variable = self.settings, trained.variable
        mean, square = trained.slots["mean"], trained.slots["square"]
        first = mean.assign(settings.beta_1 * mean + (1 - settings.beta_1) * gradient)
        second = square.assign(settings.beta_2 * square + (1 - settings.beta_2) * tf.square(gradient))
        if settings.bias_correction:
            power = tf.cast(step + 1, tf.float32)
            first = first / (1 - tf.pow(settings.beta_1, power))
            second = second / (1 - tf.pow(settings.beta_2, power))
        update = first / (tf.sqrt(second) + settings.epsilon)
        if trained.is_kernel:
            update += trained.decay * variable
            weight_norm, update_norm = tf.norm(variable), tf.norm(update)
            # Weights that are all 0, or an update that is, have no direction to be in proportion to.
            defined = (weight_norm > 0) & (update_norm > 0)
            update *= tf.where(defined, weight_norm / tf.where(defined, update_norm, 1.0), 1.0)
        variable.assign_sub(rate * update)


class Sgd(Optimizer):
    """Gradient descent without momentum: for comparisons, since it hides nothing."""

    def _slot_names(self, path: str) -> Sequence[str]:
        return ()

    def _update(self, trained: TrainedVariable, gradient: Any, rate: Any, step: Any) -> None:
        trained.variable.assign(trained.variable * (1.0 - rate * trained.decay) - rate * gradient)


def make_optimizer(variables: Sequence[Any], settings: OptimizerSettings) -> Optimizer:
    """The optimizer that `settings` name."""
    kinds: dict[str, type[Optimizer]] = {"adamw": AdamW, "lamb": Lamb, "muon": Muon, "sgd": Sgd}
    return kinds[settings.name](variables, settings)
