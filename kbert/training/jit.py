"""Where compiling the step with XLA pays."""

from __future__ import annotations

import tensorflow as tf

from kbert.errors import UsageError

JIT = ("auto", "on", "off")


def use_jit(name: str) -> bool:
    """Whether to compile the step.

    "auto" compiles where there is a GPU. On a CPU it does not.

    Raises:
        UsageError: `name` is none of JIT.
    """
    if name not in JIT:
        raise UsageError(f"jit must be one of {', '.join(JIT)}. Received: jit={name!r}")
    return name == "on" or (name == "auto" and bool(tf.config.list_logical_devices("GPU")))
