"""How fine-tuning learns unless it is told otherwise: the learning rate and the number of epochs.

docs/tasks.md has the measurements that these rules come from.
"""

from __future__ import annotations

import math

_PAPER_WIDTH = 768
_PAPER_RATE = 3e-5
"""For pretrained weights of that width (arXiv 1810.04805, appendix A.3: 2e-5 to 5e-5)."""
_FRESH_RATE = 1e-4
"""For fresh weights of that width."""
_LARGEST_PRETRAINED, _LARGEST_FRESH = 5e-4, 1e-3

EPOCHS = 3.0
"""What the paper recommends (appendix A.3: 2 to 4) where there are enough rows."""
LEAST_STEPS = 500
"""Few rows are gone through more often, until there are so many steps (arXiv 2006.04884 and 2006.05987: fine-tuning on
few rows mostly fails for want of steps)."""
MOST_EPOCHS = 20.0
"""However few rows there are."""


def default_learning_rate(width: int, *, pretrained: bool) -> float:
    """The learning rate at the end of the warm-up, two significant digits.

    Narrow models take larger steps: the rate grows with the square of 768 / width for pretrained weights, and in
    proportion to it for fresh ones, up to a largest rate.

    Args:
        width: The hidden size of the encoder.
        pretrained: Whether the encoder's weights are pretrained, or fresh.

    Example:
        >>> default_learning_rate(768, pretrained=True)
        3e-05
        >>> default_learning_rate(384, pretrained=True)
        0.00012
    """
    ratio = _PAPER_WIDTH / width
    rate = min(_PAPER_RATE * ratio**2, _LARGEST_PRETRAINED) if pretrained else min(_FRESH_RATE * ratio, _LARGEST_FRESH)
    return float(f"{rate:.1e}")


def default_epochs(items: int, batch_size: int) -> float:
    """The number of epochs: 3, or with few items as many as make 500 steps, but no more than 20.

    Args:
        items: Training items, such as texts.
        batch_size: Items a step.

    Example:
        >>> default_epochs(67_349, batch_size=32)
        3.0
        >>> default_epochs(1_600, batch_size=32)
        10.0
    """
    steps_an_epoch = items / batch_size
    return float(min(MOST_EPOCHS, max(EPOCHS, math.ceil(LEAST_STEPS / steps_an_epoch))))
