"""AdamW with the rules of the BERT paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import tensorflow as tf

from kbert.training.optimizers.optimizer import Optimizer, TrainedVariable


class AdamW(Optimizer):
    """Adam with decoupled weight decay (arXiv 1711.05101), computed by one fused operation for each variable."""

    trains_rows: ClassVar[bool] = True

    def _slot_names(self, path: str) -> Sequence[str]:
        return ("mean", "square")

    def _update(self, trained: TrainedVariable, gradient: Any, rate: Any, step: Any) -> None:
        settings, variable = self.settings, trained.variable
        # The fused operation uses these powers of beta for the bias correction; with 0 there is no correction.
        powers = tf.constant(0.0), tf.constant(0.0)
        epsilon = tf.constant(settings.epsilon)
        if settings.bias_correction:
            power = tf.cast(step + 1, tf.float32)
            powers = tf.pow(settings.beta_1, power), tf.pow(settings.beta_2, power)
            # The fused operation adds epsilon before it corrects the square root. The paper (arXiv 1412.6980, algorithm
            # 1) and PyTorch add it afterwards, where its effect is up to thirty times smaller in the first steps.
            epsilon *= tf.sqrt(1.0 - powers[1])
        if trained.decay:
            # The decay is applied first, so that it is a fraction of the weight at which the gradient was computed.
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
