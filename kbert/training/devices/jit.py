"""Where compiling the step with XLA pays, and what it rules out."""

from __future__ import annotations

import tensorflow as tf

from kbert.options import check_option
from kbert.training.devices.strategy import Placement
from kbert.training.options import PretrainOptions


def use_jit(name: str) -> bool:
    """Whether to compile the step.

    "auto" compiles where there is a GPU. On a CPU it does not.

    Raises:
        UsageError: `name` is not a choice of `PretrainOptions.jit`.
    """
    check_option(PretrainOptions, "jit", name)
    return name == "on" or (name == "auto" and bool(tf.config.list_logical_devices("GPU")))


def skips_padding(placement: Placement, *, jit: bool) -> bool:
    """Whether a model is to work on tokens alone: not with XLA, which wants fixed shapes and is all that TPUs run."""
    return not jit and not isinstance(placement.strategy, tf.distribute.TPUStrategy)
