"""The decision whether the training step is compiled with XLA, which excludes skipping padding."""

from __future__ import annotations

import tensorflow as tf

from kbert.options import check_option
from kbert.training.devices.strategy import Distribution
from kbert.training.options import PretrainOptions


def use_jit(name: str) -> bool:
    """Returns whether to compile the training step with XLA.

    Args:
        name: "on", "off" or "auto". "auto" compiles the step if there is a GPU.

    Raises:
        UsageError: `name` is not a choice of `PretrainOptions.jit`.
    """
    check_option(PretrainOptions, "jit", name)
    return name == "on" or (name == "auto" and bool(tf.config.list_logical_devices("GPU")))


def skips_padding(placement: Distribution, *, jit: bool) -> bool:
    """Returns whether a model skips padding, which requires dynamic shapes and is therefore impossible with XLA.

    Args:
        placement: The devices of the run. TPUs always use XLA.
        jit: Whether the training step is compiled with XLA.
    """
    return not jit and not isinstance(placement.strategy, tf.distribute.TPUStrategy)
