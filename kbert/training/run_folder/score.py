"""The order of evaluations: the main metric decides, then the validation loss."""

from __future__ import annotations

Score = tuple[float, float]
"""The main metric of an evaluation, negated if smaller is better, and its validation loss."""


def is_better(score: Score, than: Score) -> bool:
    """Whether an evaluation is better than another by the metric, or, if that is equal, by the validation loss.

    If the loss is NaN, as for a task without one, the earlier of two equal evaluations stays the best.
    """
    return score[0] > than[0] or (score[0] == than[0] and score[1] < than[1])
