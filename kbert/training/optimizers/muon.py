"""Muon, for the kernels of the blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kbert.optimizers.variable_rules import BLOCK_KERNEL, QKV
from kbert.training.optimizers.adamw import AdamW
from kbert.training.optimizers.newton_schulz import orthogonalized
from kbert.training.optimizers.optimizer import TrainedVariable


class Muon(AdamW):
    """Muon: orthogonalized momentum for the kernels of the blocks, and AdamW for all other variables.

    The method is that of Jordan et al. (2024). Its updates are scaled to the usual size of AdamW's updates, so that the
    same learning rate and weight decay suit both (arXiv 2502.16982, section 2.2). The kernel of queries, keys and
    values is treated as three matrices.

    The orthogonalization takes about 4.5 H / T of the arithmetic of a step, for hidden size H and T tokens, so Muon
    suits large batches.
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
        ahead = momentum * first + (1 - momentum) * gradient  # Nesterov momentum
        matrices = tf.split(ahead, 3 if QKV.search(trained.path) else 1, axis=1)
        # The entries of an orthonormal matrix [M, N] have a mean square of 1 / max(M, N); those of AdamW's updates have
        # a mean square of about 0.2².
        length = 0.2 * max(matrices[0].shape) ** 0.5
        update = tf.concat([length * orthogonalized(matrix) for matrix in matrices], axis=1)
        variable.assign(variable * (1.0 - rate * trained.decay) - rate * update)
