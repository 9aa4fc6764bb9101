"""Where training runs: one device, or several with a copy of the model each."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from kbert.errors import UsageError

STRATEGIES = ("auto", "one", "mirrored")


def make_strategy(name: str = "auto") -> Any:
    """A `tf.distribute.Strategy`.

    Args:
        name: "one" device; "mirrored" over all GPUs of this machine (or, without one, all logical CPU devices);
            "auto" is mirrored where there are several GPUs.

    Raises:
        UsageError: There is no strategy of that name, or one device only to mirror over.
    """
    if name not in STRATEGIES:
        raise UsageError(f"strategy must be one of {', '.join(STRATEGIES)}. Received: strategy={name!r}")
    gpus = tf.config.list_logical_devices("GPU")
    if name == "one" or (name == "auto" and len(gpus) < 2):
        return tf.distribute.OneDeviceStrategy(gpus[0].name if gpus else "/cpu:0")
    devices = gpus or tf.config.list_logical_devices("CPU")
    if len(devices) < 2:
        raise UsageError(f"mirrored training needs two devices. Received: {devices[0].name} alone")
    return tf.distribute.MirroredStrategy([device.name for device in devices])
