"""The defaults of private training (docs/differential-privacy.md)."""

from __future__ import annotations

CLIP = 0.1
"""The norm of clipped gradients. It is far below that of most gradients, so that all rows count about equally; the
optimizers divide by the size of the gradients, so its value hardly matters (arXiv 2110.05679)."""
_DRAW_SIZE = 1024
_LEAST_DRAWS = 8
"""The minimum number of steps of an epoch."""


def default_delta(rows: int) -> float:
    """Returns the default δ: 1 / rows^1.1, which is below 1 / rows.

    A mechanism that publishes one row of the data has δ = 1 / rows, so a useful δ is below it.

    Example:
        >>> f"{default_delta(67_349):.2g}"
        '4.9e-06'
    """
    return 1 / rows**1.1


def default_draw_size(rows: int) -> int:
    """Returns the default for the mean number of rows that a step draws: 1,024, or an eighth of fewer than 8,192 rows.

    Example:
        >>> default_draw_size(67_349), default_draw_size(4_000)
        (1024, 500)
    """
    return max(1, min(_DRAW_SIZE, rows // _LEAST_DRAWS))


def default_private_epochs() -> float:
    """Returns the default number of epochs."""
    return 10.0
