"""AdamW with the rules of the BERT paper."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

NOT_DECAYED = ("/bias", "/gamma", "/beta")
"""Ends of the names of variables without weight decay: biases and LayerNorm."""


@dataclasses.dataclass(frozen=True)
class AdamWSettings:
    """What AdamW is told (google-research/bert, optimization.py).

    Args:
        beta_1: Decay of the mean of gradients.
        beta_2: Decay of the mean of squared gradients.
        epsilon: Added to the root of the latter.
        weight_decay: Times the learning rate, taken off each weight; not off biases and LayerNorm.
        bias_correction: Correct the means for their start at 0, as Adam does and the original BERT does not.
        clip_norm: Gradients are scaled down to this global norm.
    """

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-6
    weight_decay: float = 0.01
    bias_correction: bool = False
    clip_norm: float = 1.0


class AdamW:
    """Updates variables in place, by one fused operation each.

    Make it in the scope of the strategy, and call it in replica context with gradients that are already
    summed over replicas: clipping must see the whole gradient.

    Args:
        variables: The `keras.Variable`s to train.
        settings: Its constants.
    """

    def __init__(self, variables: Sequence[Any], settings: AdamWSettings) -> None:
        self.settings = settings
        self.targets = [variable.value for variable in variables]
        self.decayed = [not variable.path.endswith(NOT_DECAYED) for variable in variables]
        self.slots = {
            f"optimizer/{slot}/{variable.path}": tf.Variable(tf.zeros(variable.shape), trainable=False)
            for slot in ("mean", "square")
            for variable in variables
        }
        slots = list(self.slots.values())
        self._means, self._squares = slots[: len(variables)], slots[len(variables) :]

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
        settings = self.settings
        power = tf.cast(step + 1, tf.float32)
        # The fused operation corrects by these powers of beta; at 0 it corrects nothing.
        powers = (
            (tf.pow(settings.beta_1, power), tf.pow(settings.beta_2, power))
            if settings.bias_correction
            else (tf.constant(0.0), tf.constant(0.0))
        )
        for gradient, variable, mean, square, decayed in zip(
            gradients, self.targets, self._means, self._squares, self.decayed, strict=True
        ):
            if decayed and settings.weight_decay:
                # Before the update, so that the decay is a part of the weight that the gradient was taken at.
                variable.assign(variable * (1.0 - learning_rate * settings.weight_decay))
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=mean.handle,
                v=square.handle,
                beta1_power=powers[0],
                beta2_power=powers[1],
                lr=learning_rate,
                beta1=settings.beta_1,
                beta2=settings.beta_2,
                epsilon=settings.epsilon,
                grad=gradient,
            )
