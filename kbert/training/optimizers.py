"""AdamW with the rules of the BERT paper, LAMB and SGD."""

from __future__ import annotations

import abc
import dataclasses
import re
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kbert.errors import UsageError

OPTIMIZERS = ("adamw", "lamb", "sgd")

NOT_DECAYED = ("/bias", "/gamma", "/beta")
"""Ends of the names of variables without weight decay: biases and LayerNorm."""

_BLOCK = re.compile(r"(?:^|/)block_(\d+)/")
_EMBEDDINGS = re.compile(r"(?:^|/)embeddings/")


@dataclasses.dataclass(frozen=True)
class OptimizerSettings:
    """What an optimizer is told (google-research/bert, optimization.py).

    Args:
        name: "adamw", "lamb" (arXiv 1904.00962) or "sgd".
        beta_1: Decay of the mean of gradients.
        beta_2: Decay of the mean of squared gradients.
        epsilon: Added to the root of the latter, after its correction if there is one.
        weight_decay: Times the learning rate, taken off each weight; not off biases and LayerNorm.
        bias_correction: Correct the means for their start at 0, as Adam does and the original BERT does not.
        clip_norm: Gradients are scaled down to this global norm.
        layer_decay: Each block learns at this times the rate of the block above it; the embeddings are below all.

    Raises:
        UsageError: There is no optimizer of that name, or a constant cannot be.
    """

    name: str = "adamw"
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-6
    weight_decay: float = 0.01
    bias_correction: bool = False
    clip_norm: float = 1.0
    layer_decay: float = 1.0

    def __post_init__(self) -> None:
        if self.name not in OPTIMIZERS:
            raise UsageError(f"optimizer must be one of {', '.join(OPTIMIZERS)}. Received: optimizer={self.name!r}")
        if not 0 < self.layer_decay <= 1:
            raise UsageError(f"layer_decay must be above 0 and at most 1. Received: layer_decay={self.layer_decay}")
        if not self.weight_decay >= 0:
            raise UsageError(f"weight_decay must be at least 0. Received: weight_decay={self.weight_decay}")


class Optimizer(abc.ABC):
    """Updates variables in place.

    Make it in the scope of the strategy, and call it in replica context with gradients that are already
    summed over replicas: clipping must see the whole gradient.

    Args:
        variables: The `keras.Variable`s to train.
        settings: Its constants.
    """

    slot_names: tuple[str, ...] = ()
    """What is remembered of each variable."""

    def __init__(self, variables: Sequence[Any], settings: OptimizerSettings) -> None:
        self.settings = settings
        self.targets = [variable.value for variable in variables]
        paths = [variable.path for variable in variables]
        self.decayed = [not path.endswith(NOT_DECAYED) for path in paths]
        self.rates = layer_rates(paths, settings.layer_decay)
        self._slots = [
            [tf.Variable(tf.zeros(variable.shape), trainable=False) for variable in variables] for _ in self.slot_names
        ]
        self.slots = {
            f"optimizer/{name}/{path}": slot
            for name, slots in zip(self.slot_names, self._slots, strict=True)
            for path, slot in zip(paths, slots, strict=True)
        }

    def clip(self, gradients: Sequence[tf.Tensor]) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Scales gradients down to the global norm `clip_norm`; gives them and the norm before."""
        return tf.clip_by_global_norm(gradients, self.settings.clip_norm)

    def apply(self, gradients: Sequence[tf.Tensor], learning_rate: tf.Tensor, step: tf.Tensor) -> None:
        """Updates each variable with its gradient.

        Args:
            gradients: One a variable, dense.
            learning_rate: float32 scalar.
            step: int64 scalar, counted from 0.
        """
        decay = self.settings.weight_decay
        columns = (gradients, self.targets, self.decayed, self.rates, *self._slots)
        for gradient, variable, decayed, rate, *slots in zip(*columns, strict=True):
            own_rate = learning_rate if rate == 1.0 else learning_rate * rate
            self._update(gradient, variable, slots, own_rate, decay if decayed else 0.0, step, decayed)

    @abc.abstractmethod
    def _update(
        self,
        gradient: tf.Tensor,
        variable: Any,
        slots: Sequence[Any],
        rate: tf.Tensor,
        decay: float,
        step: tf.Tensor,
        is_kernel: bool,
    ) -> None:
        """Updates one variable and its slots."""


class AdamW(Optimizer):
    """Adam with the decay beside it (arXiv 1711.05101), by one fused operation a variable."""

    slot_names = ("mean", "square")

    def _update(
        self, gradient: Any, variable: Any, slots: Any, rate: Any, decay: float, step: Any, is_kernel: bool
    ) -> None:
        settings = self.settings
        # The fused operation corrects by these powers of beta; at 0 it corrects nothing.
        powers = tf.constant(0.0), tf.constant(0.0)
        epsilon = tf.constant(settings.epsilon)
        if settings.bias_correction:
            power = tf.cast(step + 1, tf.float32)
            powers = tf.pow(settings.beta_1, power), tf.pow(settings.beta_2, power)
            # It adds epsilon before the correction of the root. The paper (arXiv 1412.6980, algorithm 1) and PyTorch
            # add it after, where it weighs up to thirty times less in the first steps.
            epsilon *= tf.sqrt(1.0 - powers[1])
        if decay:
            # Before the update, so that the decay is a part of the weight that the gradient was taken at.
            variable.assign(variable * (1.0 - rate * decay))
        mean, square = slots
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=mean.handle,
            v=square.handle,
            beta1_power=powers[0],
            beta2_power=powers[1],
            lr=rate,
            beta1=settings.beta_1,
            beta2=settings.beta_2,
            epsilon=epsilon,
            grad=gradient,
        )


class Lamb(Optimizer):
    """Adam's direction at a length in proportion to the weights', for very large batches (arXiv 1904.00962).

    Biases and LayerNorm take Adam's own length.
    """

    slot_names = ("mean", "square")

    def _update(
        self, gradient: Any, variable: Any, slots: Any, rate: Any, decay: float, step: Any, is_kernel: bool
    ) -> None:
        settings = self.settings
        mean, square = slots
        first = mean.assign(settings.beta_1 * mean + (1 - settings.beta_1) * gradient)
        second = square.assign(settings.beta_2 * square + (1 - settings.beta_2) * tf.square(gradient))
        if settings.bias_correction:
            power = tf.cast(step + 1, tf.float32)
            first = first / (1 - tf.pow(settings.beta_1, power))
            second = second / (1 - tf.pow(settings.beta_2, power))
        update = first / (tf.sqrt(second) + settings.epsilon)
        if is_kernel:
            update += decay * variable
            weight_norm, update_norm = tf.norm(variable), tf.norm(update)
            # Weights that are all 0, or an update that is, have no direction to be in proportion to.
            defined = (weight_norm > 0) & (update_norm > 0)
            update *= tf.where(defined, weight_norm / tf.where(defined, update_norm, 1.0), 1.0)
        variable.assign_sub(rate * update)


class Sgd(Optimizer):
    """Gradient descent without momentum: for comparisons, since it hides nothing."""

    def _update(
        self, gradient: Any, variable: Any, slots: Any, rate: Any, decay: float, step: Any, is_kernel: bool
    ) -> None:
        variable.assign(variable * (1.0 - rate * decay) - rate * gradient)


def make_optimizer(variables: Sequence[Any], settings: OptimizerSettings) -> Optimizer:
    """The optimizer that `settings` name."""
    kinds: dict[str, type[Optimizer]] = {"adamw": AdamW, "lamb": Lamb, "sgd": Sgd}
    return kinds[settings.name](variables, settings)


def layer_rates(paths: Sequence[str], decay: float) -> list[float]:
    """What the learning rate of each variable is multiplied by (arXiv 1801.06146, discriminative fine-tuning).

    Args:
        paths: Names of variables: ".../embeddings/...", ".../block_3/...", or what stands above all blocks.
        decay: Of a layer against the one above it.
    """
    depth = 1 + max((int(match[1]) for path in paths if (match := _BLOCK.search(path))), default=-1)

    def rate(path: str) -> float:
        if match := _BLOCK.search(path):
            return decay ** (depth - int(match[1]))
        return decay ** (depth + 1) if _EMBEDDINGS.search(path) else 1.0

    return [rate(path) for path in paths]
