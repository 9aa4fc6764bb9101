"""The peak rate of matrix products on this machine's devices, from which model FLOPs utilization is computed."""

from __future__ import annotations

import functools
import time

import tensorflow as tf

from kbert.training.devices.strategy import Distribution

_CPU_SIZES, _GPU_SIZES = (512, 2048), (4096, 8192)
"""The numbers of rows and columns of the products. Large products reach the highest rate on an idle machine. On a busy
machine, a small product may finish before another program interrupts it.
"""
_SECONDS = 0.15
"""The time of the measurement for each size."""


def matrix_peak(precision: str, placement: Distribution) -> float | None:
    """Measures the operations per second that all devices of a run reach together; returns None on a TPU.

    Each process measures one device once, which takes a fraction of a second. The CPU devices of one process share its
    cores, so they count as one device.

    Args:
        precision: The floating-point type of the products.
        placement: The devices of the run.
    """
    if isinstance(placement.strategy, tf.distribute.TPUStrategy):
        return None
    gpus = bool(tf.config.list_logical_devices("GPU"))
    devices = placement.strategy.num_replicas_in_sync if gpus else placement.workers
    sizes = _GPU_SIZES if gpus else _CPU_SIZES
    return max(_device_peak(precision, size) for size in sizes) * devices


@functools.cache
def _device_peak(precision: str, size: int) -> float:
    """Returns the best rate of many rounds, since other programs on the machine can only reduce the rate."""
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
    """Waits until a tensor is computed; a GPU computes asynchronously until a value is read."""
    tensor[0, 0].numpy()
