"""Muon, for Keras."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kbert.optimizers.adamw import AdamW
from kbert.optimizers.variable_rules import BLOCK_KERNEL, QKV

MOMENTUM = 0.95
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of a X + b XXᵀX + c (XXᵀ)²X. Singular values from 1e-2 to 1 come between 0.7 and 1.2 in five rounds: steeper at 0
than a polynomial that ends at 1 exactly, and that near is enough (Jordan et al. 2024, "Muon")."""
ROUNDS = 5


@keras.saving.register_keras_serializable("kbert")
class Muon(AdamW):
    """Momentum that is made orthogonal, for the kernels of the blocks; AdamW for all others (Jordan et al. 2024).

    Its steps are as long as AdamW's usually are, so that one learning rate and one decay do for both
    (arXiv 2502.16982, section 2.2). Queries, keys and values are three matrices in one kernel.

    Args:
        learning_rate: A number, or a schedule such as `kbert.WarmupSchedule`.
        options: As of `kbert.AdamW`.

    Example:
        >>> optimizer = kbert.Muon(1e-3)

    Raises:
        UsageError: A value is out of range.
    """

    def slots_of(self, path: str) -> Sequence[str]:
        """What is remembered of the variable of that name."""
        return ("mean",) if BLOCK_KERNEL.search(path) else super().slots_of(path)

    def update(self, variable: Any, path: str, slots: dict[str, Any], gradient: Any, rate: Any, decay: float) -> None:
        """Updates one variable and its slots."""
        if not BLOCK_KERNEL.search(path):
            super().update(variable, path, slots, gradient, rate, decay)
            return
        mean = MOMENTUM * slots["mean"] + (1 - MOMENTUM) * gradient
        self.assign(slots["mean"], mean)
        ahead = MOMENTUM * mean + (1 - MOMENTUM) * gradient  # Nesterov's
        matrices = ops.split(ahead, 3 if QKV.search(path) else 1, axis=1)
        # The entries of an orthonormal matrix [M, N] have a mean square of 1 / max(M, N), those of AdamW's steps some
        # 0.2².
        length = 0.2 * max(matrices[0].shape) ** 0.5
        update = ops.concatenate([length * orthogonalized(matrix) for matrix in matrices], axis=1)
        self.assign_decayed(variable, rate, decay, update)


def orthogonalized(matrix: Any) -> Any:
    """U Vᵀ of the singular value decomposition U S Vᵀ, roughly: float32 [M, N] → the same shape."""
    tall = matrix.shape[0] > matrix.shape[1]
    wide = ops.transpose(matrix) if tall else matrix  # XXᵀ is the smaller of the two squares
    norm = ops.sqrt(ops.sum(ops.square(wide)))
    wide = wide / ops.where(norm > 0, norm, 1.0)
    a, b, c = COEFFICIENTS
    for _ in range(ROUNDS):
        square = ops.matmul(wide, ops.transpose(wide))
        wide = a * wide + ops.matmul(b * square + c * ops.matmul(square, square), wide)
    return ops.transpose(wide) if tall else wide
