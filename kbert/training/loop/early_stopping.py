"""When evaluations have not become better for long enough."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from kbert.errors import UsageError

Score = tuple[float, float]
"""The main metric of an evaluation, negated if smaller is better, and its validation loss."""


def is_better(score: Score, than: Score) -> bool:
    """Whether an evaluation is better than another by the metric, or, if that is equal, by the validation loss.

    If the loss is NaN, as for a task without one, the earlier of two equal evaluations stays the best.
    """
    return score[0] > than[0] or (score[0] == than[0] and score[1] < than[1])


@dataclasses.dataclass(frozen=True)
class EarlyStopping:
    """Ends a run after `patience` evaluations none of which was better than all before them.

    Evaluations do not count while the metric is still at its minimum, such as an F1 of 0. The decision depends on the
    evaluations alone, so a resumed run ends at the same step.

    Args:
        patience: How many evaluations are waited for.
        metric: The metric of the row that decides, such as "validation_f1".
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
        """Whether the run ends after these evaluations: a metric and a validation loss each."""
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
