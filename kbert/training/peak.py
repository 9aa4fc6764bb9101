"""The most that this machine's devices reach on matrix products: what model FLOPs utilization is a part of."""

from __future__ import annotations

import functools
import time

import tensorflow as tf

from kbert.training.strategy import Placement

_CPU_SIZE, _GPU_SIZE = 1024, 8192
"""Rows and columns: large enough that nothing but the products counts."""
_SECONDS = 0.15


def matrix_peak(precision: str, placement: Placement) -> float | None:
    """Operations a second that all devices of a run reach together; None on a TPU, which is not measured.

    Each process measures one device, once, in a fraction of a second. CPU devices of one process share its cores.

    Args:
        precision: Of the products.
        placement: Where the run is.
    """
    if isinstance(placement.strategy, tf.distribute.TPUStrategy):
        return None
    gpus = bool(tf.config.list_logical_devices("GPU"))
    devices = placement.strategy.num_replicas_in_sync if gpus else placement.workers
    return _device_peak(precision, _GPU_SIZE if gpus else _CPU_SIZE) * devices


@functools.cache
def _device_peak(precision: str, size: int) -> float:
    """The best of a few rounds: what else runs on the machine only takes from it."""
    left = tf.cast(tf.fill([size, size], 1.0 / size), precision)
    product = tf.function(lambda factor: tf.matmul(factor, left))
    outcome = product(left)
    fastest = float("inf")
    ends = time.perf_counter() + _SECONDS
    while time.perf_counter() < ends or fastest == float("inf"):
        _wait_for(outcome)
        began = time.perf_counter()
        outcome = product(left)
        _wait_for(outcome)
        fastest = min(fastest, time.perf_counter() - began)
    return 2.0 * size**3 / fastest


def _wait_for(tensor: tf.Tensor) -> None:
    """A GPU computes behind the program's back until a value is asked for."""
    tf.reduce_max(tensor[:1, :1]).numpy()
