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
"""The coefficients of a X + b XXᵀX + c (XXᵀ)²X. Five rounds bring singular values from 1e-2 to 1 between 0.7 and 1.2.
The polynomial is steeper at 0 than one that converges to 1; this accuracy suffices (Jordan et al. 2024, "Muon")."""
ROUNDS = 5


@keras.saving.register_keras_serializable("kbert")
class Muon(AdamW):
    """Orthogonalized momentum for the kernels of the blocks, and AdamW for all other weights (Jordan et al. 2024).

    Its updates have the usual size of AdamW's, so that both share a learning rate and a weight decay
    (arXiv 2502.16982, section 2.2). The kernel of queries, keys and values is treated as three matrices.

    Args:
        learning_rate: A number, or a schedule such as `kbert.WarmupSchedule`.
        options: The options of `kbert.AdamW`.

    Example:
        >>> optimizer = kbert.Muon(1e-3)

    Raises:
        UsageError: A value is out of range.
    """

    def slots_of(self, path: str) -> Sequence[str]:
        """The names of the state variables for the variable of that name."""
        return ("mean",) if BLOCK_KERNEL.search(path) else super().slots_of(path)

    def update(self, variable: Any, path: str, slots: dict[str, Any], gradient: Any, rate: Any, decay: float) -> None:
        """Updates one variable and its state."""
        if not BLOCK_KERNEL.search(path):
            super().update(variable, path, slots, gradient, rate, decay)
            return
        mean = MOMENTUM * slots["mean"] + (1 - MOMENTUM) * gradient
        self.assign(slots["mean"], mean)
        ahead = MOMENTUM * mean + (1 - MOMENTUM) * gradient  # Nesterov's momentum
        matrices = ops.split(ahead, 3 if QKV.search(path) else 1, axis=1)
        # The entries of an orthonormal matrix [M, N] have a mean square of 1 / max(M, N); those of AdamW's updates have
        # about 0.2².
        length = 0.2 * max(matrices[0].shape) ** 0.5
        update = ops.concatenate([length * orthogonalized(matrix) for matrix in matrices], axis=1)
        self.assign_decayed(variable, rate, decay, update)


def orthogonalized(matrix: Any) -> Any:
    """Approximates U Vᵀ of the singular value decomposition U S Vᵀ; float32 [M, N] → the same shape."""
    tall = matrix.shape[0] > matrix.shape[1]
    wide = ops.transpose(matrix) if tall else matrix  # so that XXᵀ is the smaller of the two products
    norm = ops.sqrt(ops.sum(ops.square(wide)))
    wide = wide / ops.where(norm > 0, norm, 1.0)
    a, b, c = COEFFICIENTS
    for _ in range(ROUNDS):
        square = ops.matmul(wide, ops.transpose(wide))
        wide = a * wide + ops.matmul(b * square + c * ops.matmul(square, square), wide)
    return ops.transpose(wide) if tall else wide
