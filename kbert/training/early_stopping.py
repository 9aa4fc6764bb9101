"""When evaluations have not become better for long enough."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from kbert.errors import UsageError


@dataclasses.dataclass(frozen=True)
class EarlyStopping:
    """Ends a run after `patience` evaluations none of which was better than all before them.

    It decides by what was measured alone, so a run that is resumed ends where the other does.

    Args:
        patience: How many evaluations are waited for.
        metric: The metric of the row that is looked at.
        larger_is_better: Which way it goes.

    Raises:
        UsageError: The patience is below 1.
    """

    patience: int
    metric: str
    larger_is_better: bool = True

    def __post_init__(self) -> None:
        if self.patience < 1:
            raise UsageError(f"early_stopping must be at least 1. Received: early_stopping={self.patience}")

    def __call__(self, measured: Sequence[float]) -> bool:
        """Whether it is enough, after these evaluations; of equals the first is the best."""
        if not measured:
            return False
        best = max(measured) if self.larger_is_better else min(measured)
        return len(measured) - 1 - list(measured).index(best) >= self.patience
