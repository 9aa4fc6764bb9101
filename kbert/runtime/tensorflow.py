"""TensorFlow started without its messages on standard error."""

from __future__ import annotations

import os
import sys

from kbert.runtime.held_output import held_stderr

LOG_SETTING = "TF_CPP_MIN_LOG_LEVEL"
QUIET_LEVEL = "3"


def import_tensorflow(*, look_for_devices: bool = True) -> None:
    """Imports tensorflow and tensorflow-text.

    With TF_CPP_MIN_LOG_LEVEL=3, which the command line sets unless another level is given, the messages that TensorFlow
    writes while it starts are held back, and shown if the import fails: its C++ libraries write some of them to
    standard error before they read that variable. The variable itself is never changed here.

    Args:
        look_for_devices: Lets TensorFlow start its devices while its messages are held back; a process that has done
            so can no longer join a cluster.
    """
    if "tensorflow_text" in sys.modules:
        return
    if os.environ.get(LOG_SETTING) != QUIET_LEVEL:
        import tensorflow_text

        return
    with held_stderr():
        import tensorflow as tf
        import tensorflow_text  # noqa: F401 (registers its operations)

        # TensorFlow reports missing GPUs when it first looks for them.
        if look_for_devices:
            tf.config.list_logical_devices()
