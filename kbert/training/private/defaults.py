"""The defaults of private training (docs/differential-privacy.md)."""

from __future__ import annotations

CLIP = 0.1
"""The norm of clipped gradients. It is far below that of most gradients, so that all rows count about equally; the
optimizers divide by the size of the gradients, so its value hardly matters (arXiv 2110.05679)."""
EPOCHS = 10.0
"""The number of epochs. The noise of a step grows slower than the number of steps."""
_DRAW_SIZE = 1024
_LEAST_DRAWS = 8
"""The minimum number of steps of an epoch."""
_FACTOR = 4.0
_LARGEST_RATE = 1e-3


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


def default_private_learning_rate(plain: float) -> float:
    """Returns the default learning rate of a private run that trains all weights.

    It is 4 times that without privacy, up to a limit, since draws are large and steps are few. The default learning
    rates of adapters are large already, and stay the same.

    Args:
        plain: The default without privacy.

    Example:
        >>> default_private_learning_rate(1.2e-4)
        0.00048
    """
    return max(plain, min(_FACTOR * plain, _LARGEST_RATE))
