"""Gradient descent without momentum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kbert.training.optimizers.optimizer import Optimizer, TrainedVariable


class Sgd(Optimizer):
    """Gradient descent without momentum, which is simple enough to verify in comparisons."""

    def _slot_names(self, path: str) -> Sequence[str]:
        return ()

    def _update(self, trained: TrainedVariable, gradient: Any, rate: Any, step: Any) -> None:
        trained.variable.assign(trained.variable * (1.0 - rate * trained.decay) - rate * gradient)
