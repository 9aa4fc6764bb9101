"""Loss scaling: float16 has no numbers below 6e-8, where many gradients are (arXiv 1710.03740)."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

_FIRST = 2.0**15
_GROW_AFTER = 2000
"""Good steps until the scale is doubled."""


class LossScale:
    """A power of two that the loss is multiplied by, as large as it can be without overflow.

    Make it in the scope of the strategy, call it in replica context. Without `dynamic` the scale is 1.

    Args:
        dynamic: Halve the scale when a gradient overflows, and double it after 2,000 steps in which none did.
    """

    def __init__(self, dynamic: bool) -> None:
        self.dynamic = dynamic
        self.slots: dict[str, tf.Variable] = {}
        if dynamic:
            self._scale = tf.Variable(_FIRST, trainable=False)
            self._good = tf.Variable(0.0, trainable=False)
            self.slots = {"loss_scale/scale": self._scale, "loss_scale/good_steps": self._good}

    def scale(self, loss: tf.Tensor) -> tf.Tensor:
        """The loss to take gradients of."""
        return loss * self._scale if self.dynamic else loss

    def unscale(self, gradients: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """The gradients of the loss itself."""
        if not self.dynamic:
            return list(gradients)
        inverse = 1.0 / self._scale
        return [gradient * inverse for gradient in gradients]

    def update(self, finite: tf.Tensor) -> None:
        """Adapts the scale after a step whose gradients were all finite, or were not."""
        good = tf.where(finite, self._good + 1.0, 0.0)
        grow = good >= _GROW_AFTER
        factor = tf.where(finite, tf.where(grow, 2.0, 1.0), 0.5)
        self._scale.assign(tf.maximum(1.0, self._scale * factor))
        self._good.assign(tf.where(grow, 0.0, good))
