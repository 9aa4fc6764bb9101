"""Muon as a Keras optimizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kbert.optimizers.adamw import AdamW
from kbert.optimizers.variable_rules import BLOCK_KERNEL, QKV

MOMENTUM = 0.95
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""The coefficients a, b, c of the polynomial a X + b XXᵀX + c (XXᵀ)²X. Five rounds map singular values from 1e-2 to 1
into the range from 0.7 to 1.2. The polynomial does not converge to 1, but it is steeper at 0 than polynomials that do;
its accuracy suffices (Jordan et al. 2024, "Muon")."""
ROUNDS = 5


@keras.saving.register_keras_serializable("kbert")
class Muon(AdamW):
    """Muon (Jordan et al. 2024): orthogonalized momentum for the kernels of the blocks, AdamW for all other weights.

    Its updates are scaled to the usual size of AdamW's, so that both use the same learning rate and weight decay
    (arXiv 2502.16982, section 2.2). The kernel of queries, keys and values is treated as three matrices.

    Args:
        learning_rate: The learning rate: a number, or a schedule such as `kbert.WarmupSchedule`.
        options: The options of `kbert.AdamW`.

    Example:
        >>> optimizer = kbert.Muon(1e-3)

    Raises:
        UsageError: A value is out of range.
    """

    def slots_of(self, path: str) -> Sequence[str]:
        """Returns the names of the state variables of the variable with this name."""
        return ("mean",) if BLOCK_KERNEL.search(path) else super().slots_of(path)

    def update(self, variable: Any, path: str, slots: dict[str, Any], gradient: Any, rate: Any, decay: float) -> None:
        """Updates a variable and its state."""
        if not BLOCK_KERNEL.search(path):
            super().update(variable, path, slots, gradient, rate, decay)
            return
        mean = MOMENTUM * slots["mean"] + (1 - MOMENTUM) * gradient
        self.assign(slots["mean"], mean)
        ahead = MOMENTUM * mean + (1 - MOMENTUM) * gradient  # Nesterov's momentum
        matrices = ops.split(ahead, 3 if QKV.search(path) else 1, axis=1)
        # The entries of an orthonormal matrix [M, N] have a mean square of 1 / max(M, N), and those of AdamW's updates
        # of about 0.2².
        length = 0.2 * max(matrices[0].shape) ** 0.5
        update = ops.concatenate([length * orthogonalized(matrix) for matrix in matrices], axis=1)
        self.assign_decayed(variable, rate, decay, update)


def orthogonalized(matrix: Any) -> Any:
    """Returns an approximation of U Vᵀ, where U S Vᵀ is the singular value decomposition of a float32 [M, N] matrix."""
    tall = matrix.shape[0] > matrix.shape[1]
    wide = ops.transpose(matrix) if tall else matrix  # so that XXᵀ is the smaller of the two products
    norm = ops.sqrt(ops.sum(ops.square(wide)))
    wide = wide / ops.where(norm > 0, norm, 1.0)
    a, b, c = COEFFICIENTS
    for _ in range(ROUNDS):
        square = ops.matmul(wide, ops.transpose(wide))
        wide = a * wide + ops.matmul(b * square + c * ops.matmul(square, square), wide)
    return ops.transpose(wide) if tall else wide
