"""The large weights of a graph that is converted to LiteRT.

A weight that is a constant of the graph is copied with each copy of the graph. The converter makes many: with a
BERT-base it took 19 GB, and a graph has to be smaller than 2 GB. TensorFlow stores variables beside the graph, and the
converter turns them into the constants of the .tflite file.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

import numpy as np
import tensorflow as tf

_LARGE = 1 << 16
"""The number of bytes from which a weight is a variable. Small constants take part in simplifications of the graph."""

_COLLECTED: ContextVar[dict[int, tuple[np.ndarray, tf.Variable]] | None] = ContextVar("collected", default=None)


@contextlib.contextmanager
def collected_weights() -> Iterator[list[tf.Variable]]:
    """Collects the weights of the graphs that are traced in this context.

    Returns:
        A list, which holds the variables of the weights when the context ends. Who saves the graph has to save them.
    """
    variables: list[tf.Variable] = []
    collected: dict[int, tuple[np.ndarray, tf.Variable]] = {}
    token = _COLLECTED.set(collected)
    try:
        yield variables
    finally:
        _COLLECTED.reset(token)
        variables.extend(variable for _, variable in collected.values())


def weight(value: np.ndarray) -> np.ndarray | tf.Tensor:
    """Returns a weight as an operand of a graph: the value of a variable if it is large and weights are collected.

    Args:
        value: The weight.
    """
    collected = _COLLECTED.get()
    if collected is None or value.nbytes < _LARGE:
        return value
    if id(value) not in collected:
        with tf.init_scope():
            variable = tf.Variable(value, trainable=False, name=f"weight_{len(collected)}")
        collected[id(value)] = value, variable  # the array is kept, since another one could get its id
    return collected[id(value)][1].read_value()
