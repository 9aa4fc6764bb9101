"""Secret Gaussian noise."""

from __future__ import annotations

import secrets

import tensorflow as tf


def secret_generator() -> tf.random.Generator:
    """Returns a generator of random numbers whose state comes from the operating system's source of random numbers.

    The state is in memory only. No checkpoint holds it, so a run that is resumed has other noise.
    """
    state = [secrets.randbits(63) for _ in range(3)]  # the counter and the key of Philox
    return tf.random.Generator.from_state(state, alg="philox")
