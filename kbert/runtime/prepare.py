"""The settings of the process with which kbert computes fastest; the command line and Python programs ask for them."""

from __future__ import annotations

import logging
import os
import sys

from kbert.errors import UsageError
from kbert.runtime.onednn import avoid_broken_amx, use_onednn
from kbert.runtime.tensorflow import LOG_SETTING, QUIET_LEVEL

_LOG = logging.getLogger("kbert")
PRECISIONS = ("float32", "bfloat16", "float16")


def prepare_runtime(*, precision: str = "float32", quiet: bool = False) -> None:
    """Sets the environment variables with which kbert computes fastest, as the `kbert` program does.

    Importing kbert changes nothing in the process, so a Python program calls this function at its beginning, before
    anything imports TensorFlow, which reads these variables only once. Variables that are set keep their values, and
    a second call changes nothing. A call that comes after TensorFlow was imported still sets the variables, for
    processes that this one starts, and logs a warning: this process computes as before.

    - `TF_ENABLE_ONEDNN_OPTS=1` on x86 processors: matrix products by oneDNN.
    - `ONEDNN_MAX_CPU_ISA`, with `precision="bfloat16"` and only where the processor's AMX instructions end the process:
      a child process tries them, which takes seconds. oneDNN reads it before its first product, so this variable
      still helps if TensorFlow was imported but has not computed.
    - `TF_CPP_MIN_LOG_LEVEL=3`, with `quiet`: no messages of TensorFlow's C++ libraries, also not
      those that they write while kbert imports TensorFlow (kbert.runtime.quiet_import).

    Args:
        precision: The precision in which the program will compute: "float32", "bfloat16" or "float16".
        quiet: Whether TensorFlow's own messages are turned off.

    Raises:
        UsageError: There is no precision of that name.

    Example:
        >>> kbert.prepare_runtime()
    """
    if precision not in PRECISIONS:
        raise UsageError(f"precision must be one of {', '.join(PRECISIONS)}. Received: precision={precision!r}")
    changed = use_onednn()
    if precision == "bfloat16":
        avoid_broken_amx()
    if quiet:
        os.environ.setdefault(LOG_SETTING, QUIET_LEVEL)
    if changed and "tensorflow" in sys.modules:
        _LOG.warning(
            "prepare_runtime() came too late for this process: expected a call before TensorFlow is imported. "
            "Received one after it; products may be slower. Call kbert.prepare_runtime() at the top of the program"
        )
