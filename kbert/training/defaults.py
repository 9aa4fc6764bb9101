"""The defaults of fine-tuning: the learning rate and the number of epochs (docs/tasks.md)."""

from __future__ import annotations

import math

_PAPER_WIDTH, _PAPER_LAYERS = 768, 12
_PAPER_RATE = 3e-5
"""The learning rate for pretrained weights of this size (arXiv 1810.04805, appendix A.3, has 2e-5 to 5e-5)."""
_FRESH_RATE = 1e-4
"""The learning rate for randomly initialized weights of this width."""
_LARGEST_PRETRAINED, _LARGEST_FRESH = 5e-4, 1e-3

_ADAPTER_FACTORS = {"lora": 25.0, "bottleneck": 8.0, "bitfit": 8.0}
"""The factors of the learning rate of each kind of adapter. That of LoRA was measured (docs/adapters.md)."""
_LARGEST_ADAPTER = 3e-3
_HEAD_FACTOR = 8.0
_LARGEST_HEAD = 1e-3

EPOCHS = 3.0
"""The number of epochs if there are enough rows (the paper, appendix A.3, has 2 to 4)."""
LEAST_STEPS = 500
"""The minimum number of steps: few rows are repeated until there are as many. Fine-tuning on few rows mostly fails
because of too few steps (arXiv 2006.04884 and 2006.05987)."""
LEAST_STEPS_A_CLASS = 20
"""The minimum number of steps for each class, since a model needs examples of each class."""
MOST_EPOCHS = 20.0
"""The largest default number of epochs."""


def default_learning_rate(width: int, layers: int, *, pretrained: bool) -> float:
    """Returns the default peak learning rate, rounded to two significant digits.

    Narrow models need larger learning rates. Up to a limit, the learning rate is proportional to 768 / width. For
    pretrained weights it is also proportional to 12 / layers, since deep models with a large learning rate and few
    steps collapse: all inputs get the same answer.

    Args:
        width: The hidden size of the encoder.
        layers: The number of blocks of the encoder.
        pretrained: Whether the encoder's weights are pretrained or randomly initialized.

    Example:
        >>> default_learning_rate(768, 12, pretrained=True)
        3e-05
        >>> default_learning_rate(384, 6, pretrained=True)
        0.00012
    """
    narrow, shallow = _PAPER_WIDTH / width, _PAPER_LAYERS / layers
    if pretrained:
        return float(f"{min(_PAPER_RATE * narrow * shallow, _LARGEST_PRETRAINED):.1e}")
    return float(f"{min(_FRESH_RATE * narrow, _LARGEST_FRESH):.1e}")


def default_adapter_learning_rate(learning_rate: float, kind: str) -> float:
    """Returns the default learning rate of an adapter, rounded to two significant digits.

    The weights of an adapter are new and few, so their learning rate is a multiple of that of full fine-tuning, up to a
    limit.

    Args:
        learning_rate: The learning rate of full fine-tuning.
        kind: The kind of the adapter: "lora", "bottleneck" or "bitfit".

    Example:
        >>> default_adapter_learning_rate(3e-5, "lora")
        0.00075
        >>> default_adapter_learning_rate(3e-5, "bitfit")
        0.00024
    """
    return float(f"{min(_ADAPTER_FACTORS[kind] * learning_rate, _LARGEST_ADAPTER):.1e}")


def default_head_learning_rate(learning_rate: float, *, pretrained: bool) -> float:
    """Returns the default learning rate of the pooler and the task's head, rounded to two significant digits.

    With pretrained weights, only the head is trained from scratch, so its learning rate is eight times that of the
    encoder, up to a limit. If all weights are randomly initialized, they have the same learning rate.

    Args:
        learning_rate: The learning rate of the encoder.
        pretrained: Whether the encoder's weights are pretrained or randomly initialized.

    Example:
        >>> default_head_learning_rate(3e-5, pretrained=True)
        0.00024
        >>> default_head_learning_rate(1e-4, pretrained=False)
        0.0001
    """
    if not pretrained:
        return learning_rate
    return float(f"{max(learning_rate, min(_HEAD_FACTOR * learning_rate, _LARGEST_HEAD)):.1e}")


def default_epochs(items: int, batch_size: int, classes: int = 0) -> float:
    """Returns the default number of epochs.

    It is 3, or as many epochs as are needed for 500 steps and for 20 steps a class, but at most 20.

    Args:
        items: The number of training items, such as texts.
        batch_size: The number of items in a step.
        classes: The number of classes; 0 for a task without classes.

    Example:
        >>> default_epochs(67_349, batch_size=32)
        3.0
        >>> default_epochs(1_600, batch_size=32)
        10.0
        >>> default_epochs(10_003, batch_size=32, classes=77)
        5.0
    """
    steps_an_epoch = items / batch_size
    steps = max(LEAST_STEPS, LEAST_STEPS_A_CLASS * classes)
    return float(min(MOST_EPOCHS, max(EPOCHS, math.ceil(steps / steps_an_epoch))))
