"""The names of metrics whose smaller values are better, and the name of the validation loss."""

from __future__ import annotations

LOSS = "loss"
"""The mean loss on the validation file. Fine-tuning has this metric for every task."""
_SMALLER_IS_BETTER = frozenset({LOSS, "cross_entropy", "calibration_error", "hamming_loss", "mse", "mae"})


def larger_is_better(metric: str) -> bool:
    """Returns whether larger values of a metric are better."""
    return metric not in _SMALLER_IS_BETTER
