"""What an export costs in accuracy: the metrics of a model and of its LiteRT file on a labelled file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from kbert.errors import ParityError
from kbert.tasks.metrics.names import larger_is_better


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """The main metric of a model and of its export on the same examples.

    Args:
        metric: The name of the metric.
        before: The value of the model.
        after: The value of the export.
        examples: The number of examples.
    """

    metric: str
    before: float
    after: float
    examples: int

    @classmethod
    def of(cls, task: Any, before: Mapping[str, Any], after: Mapping[str, Any]) -> Accuracy:
        """Returns the main metric of a task, given the metrics that two evaluations returned."""
        # An embedding model has other metrics on pairs than on scored pairs.
        metric = next(name for name in (task.main_metric, *task.info().metrics) if name in before)
        return cls(metric, float(before[metric]), float(after[metric]), int(before["examples"]))

    @property
    def drop(self) -> float:
        """By how many points (hundredths) the export is worse; negative if it is better."""
        return 100 * (self.before - self.after) * (1 if larger_is_better(self.metric) else -1)

    def __str__(self) -> str:
        return f"{self.metric} {self.before:.4f} before and {self.after:.4f} after, on {self.examples:,} examples"


def check_drop(accuracy: Accuracy, most: float | None, what: str, way_out: str = "") -> None:
    """Refuses an export that is worse than is allowed.

    Args:
        accuracy: The metrics before and after.
        most: The largest decrease in points that is allowed; None allows any.
        what: The name of the export in the message.
        way_out: What the user can do instead, as the end of the message.

    Raises:
        ParityError: The decrease is larger.
    """
    if most is not None and accuracy.drop > most:
        raise ParityError(
            f"{what}: the metric must be worse by at most {most:g} points. Received: {accuracy}; nothing was written"
            f"{way_out}"
        )
