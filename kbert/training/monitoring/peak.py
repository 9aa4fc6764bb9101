"""The most that this machine's devices reach on matrix products: what model FLOPs utilization is a part of."""

from __future__ import annotations

import functools
import time

import tensorflow as tf

from kbert.training.devices.strategy import Placement

_CPU_SIZES, _GPU_SIZES = (512, 2048), (4096, 8192)
"""Rows and columns. Large products reach most on a quiet machine; a small one may be done before another program takes
the processor away.
"""
_SECONDS = 0.15
"""For each size."""


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
    sizes = _GPU_SIZES if gpus else _CPU_SIZES
    return max(_device_peak(precision, size) for size in sizes) * devices


@functools.cache
def _device_peak(precision: str, size: int) -> float:
    """The best of many rounds: what else runs on the machine only takes from it."""
    factor = tf.cast(tf.fill([size, size], 1.0 / size), precision)
    product = tf.function(lambda other: tf.matmul(factor, other))
    _wait_for(product(factor))
    fastest = float("inf")
    ends = time.perf_counter() + _SECONDS
    while time.perf_counter() < ends or fastest == float("inf"):
        began = time.perf_counter()
        _wait_for(product(factor))
        fastest = min(fastest, time.perf_counter() - began)
    return 2.0 * size**3 / fastest


def _wait_for(tensor: tf.Tensor) -> None:
    """A GPU computes behind the program's back until a value is asked for."""
    tensor[0, 0].numpy()
