"""The defaults of private training (docs/differential-privacy.md)."""

from __future__ import annotations

CLIP = 3.0
"""The norm of clipped gradients. At the start of fine-tuning, gradients of single rows have norms of 2 to 3.5 (measured
with MiniLM, on SST-2 and banking77, and with all weights, LoRA or BitFit trained), and smaller ones where the model is
sure of the right answer. A clip far below them gives all rows the same weight, however sure the model is; then the
commonest label wins in all rows. With clips of 0.1 and 1, the models learnt a constant answer, with 0.1 even without
noise."""
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
