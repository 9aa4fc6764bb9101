"""The deliberate differences between kbert and TensorFlow Serving."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """What kbert answers instead of a row's answer, and why.

    Args:
        reason: The reason in a sentence.
        outcome: The HTTP status of a REST row, or the name of the gRPC code of a gRPC row.
        answer: As in the row.
        error: As in the row.
    """

    reason: str
    outcome: int | str
    answer: str | None = None
    error: str = ""


# The keys are names of rows.
DIFFERENCES: dict[str, Difference] = {}
