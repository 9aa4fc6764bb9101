"""Loss scaling for float16, whose smallest positive number is 6e-8; many gradients are smaller (arXiv 1710.03740)."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

_FIRST = 2.0**15
_GROW_AFTER = 2000
"""The number of consecutive steps without an overflow after which the scale is doubled."""


class LossScale:
    """A power of two by which the loss is multiplied, and which is kept as large as possible without overflow.

    Create the object in the scope of the strategy, and call its methods in replica context.

    Args:
        dynamic: Whether the scale is halved when a gradient overflows, and doubled after 2,000 consecutive steps
            without an overflow. If false, the scale is always 1.
    """

    def __init__(self, dynamic: bool) -> None:
        self.dynamic = dynamic
        self.slots: dict[str, tf.Variable] = {}
        if dynamic:
            self._scale = tf.Variable(_FIRST, trainable=False)
            self._good = tf.Variable(0.0, trainable=False)
            self.slots = {"loss_scale/scale": self._scale, "loss_scale/good_steps": self._good}

    def scale(self, loss: tf.Tensor) -> tf.Tensor:
        """Returns the scaled loss, of which gradients are computed."""
        return loss * self._scale if self.dynamic else loss

    def unscale(self, gradients: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Returns the gradients of the unscaled loss, computed from those of the scaled loss."""
        if not self.dynamic:
            return list(gradients)
        inverse = 1.0 / self._scale
        return [gradient * inverse for gradient in gradients]

    def update(self, finite: tf.Tensor) -> None:
        """Adapts the scale after a step.

        Args:
            finite: Whether all gradients of the step were finite, a boolean scalar.
        """
        good = tf.where(finite, self._good + 1.0, 0.0)
        grow = good >= _GROW_AFTER
        factor = tf.where(finite, tf.where(grow, 2.0, 1.0), 0.5)
        self._scale.assign(tf.maximum(1.0, self._scale * factor))
        self._good.assign(tf.where(grow, 0.0, good))
