"""Early stopping, which ends a run after several evaluations without an improvement."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from kbert.errors import UsageError
from kbert.training.run_folder.score import Score, is_better


@dataclasses.dataclass(frozen=True)
class EarlyStopping:
    """Ends a run after `patience` consecutive evaluations that are not better than the best evaluation before them.

    Evaluations do not count while the best metric is still at its minimum, such as an F1 of 0. The decision depends
    only on the evaluations, so a resumed run ends at the same step.

    Args:
        patience: The number of evaluations without an improvement.
        metric: The metric that decides, such as "validation_f1".
        larger_is_better: Whether larger values of the metric are better.

    Raises:
        UsageError: The patience is below 1.
    """

    patience: int
    metric: str
    larger_is_better: bool = True

    def __post_init__(self) -> None:
        if self.patience < 1:
            raise UsageError(f"early_stopping must be at least 1. Received: early_stopping={self.patience}")

    def __call__(self, measured: Sequence[Sequence[float]]) -> bool:
        """Returns whether the run ends after these evaluations.

        Args:
            measured: The metric and the validation loss of each evaluation.
        """
        best: Score | None = None
        waited = 0
        for metric, loss in measured:
            score = (metric if self.larger_is_better else -metric, loss)
            if best is None or is_better(score, best):
                best, waited = score, 0
            elif not self._is_at_floor(best[0]):
                waited += 1
        return waited >= self.patience

    def _is_at_floor(self, metric: float) -> bool:
        return self.larger_is_better and metric <= 0.0
