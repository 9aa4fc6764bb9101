"""TensorFlow started without its notes on standard error."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator


def import_tensorflow(*, look_for_devices: bool = True) -> None:
    """Imports tensorflow and tensorflow-text; what they print on the way is shown only if that fails.

    Their C++ libraries write to standard error before any setting of theirs is read. Set
    TF_CPP_MIN_LOG_LEVEL=0 to see it all.

    Args:
        look_for_devices: Let TensorFlow start its devices; it can join no cluster after that.
    """
    if "tensorflow_text" in sys.modules:
        return
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") == "0":
        import tensorflow_text

        return
    with held_stderr():
        import tensorflow as tf
        import tensorflow_text  # noqa: F401 (registers its operations)

        # What it has to say of missing GPUs, it says when it first looks for them.
        if look_for_devices:
            tf.config.list_logical_devices()


@contextlib.contextmanager
def held_stderr() -> Iterator[None]:
    """Holds back what is written to file descriptor 2; if the block raises, it comes after all."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        saved = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(saved, held.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


@contextlib.contextmanager
def quiet_logger(name: str) -> Iterator[None]:
    """Raises the level of a logger to errors for the block, to keep notices of deprecation off the terminal."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
