"""The comparison of evaluations by the main metric and then by the validation loss."""

from __future__ import annotations

Score = tuple[float, float]
"""The main metric of an evaluation (negated if smaller is better) and its validation loss."""


def is_better(score: Score, than: Score) -> bool:
    """Returns whether an evaluation is better than another by the metric or, if that is equal, by the validation loss.

    If the loss is NaN, as for a task without a validation loss, the earlier of two equal evaluations stays the best.

    Args:
        score: The score of the new evaluation.
        than: The best score so far.
    """
    return score[0] > than[0] or (score[0] == than[0] and score[1] < than[1])
