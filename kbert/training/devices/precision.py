"""Makes sure that bfloat16 and float16 products work on this machine's CPU before a run relies on them."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

from kbert.errors import TrainingError
from kbert.options import check_option
from kbert.training.options import TrainingOptions

_LIMIT = "ONEDNN_MAX_CPU_ISA"
_SAFE_LIMIT = "AVX512_CORE_BF16"
_TRIAL = """
import sys
import tensorflow as tf
matrix = tf.ones([512, 512], sys.argv[1])
tf.matmul(matrix, matrix)
"""


def prepare_precision(precision: str) -> None:
    """Checks a precision's name, and that this machine computes in it.

    Some virtual machines announce Intel's AMX and then end the process with SIGILL when oneDNN, TensorFlow's
    library for products, uses it. So a child process tries once, and where it dies oneDNN is told to leave AMX alone.
    It listens until its first product only: on such a machine a process must not have computed with TensorFlow before,
    or must have been started with ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16. Products in float16 end the process on many
    CPUs, and under that limit; they are slow on others: float16 is for GPUs.

    Raises:
        UsageError: There is no precision of that name.
        TrainingError: Products in this precision end the process either way.
    """
    check_option(TrainingOptions, "precision", precision)
    if precision == "float16" and shutil.which("nvidia-smi") is None and not _survives(None, "float16"):
        if _LIMIT in os.environ and _survives("", "float16"):
            raise TrainingError(
                f"{_LIMIT}={os.environ[_LIMIT]} keeps this machine's CPU from float16; unset it, or use --precision "
                "bfloat16 or float32"
            )
        raise TrainingError("this machine's CPU cannot compute in float16; use --precision bfloat16 or float32")
    if precision == "bfloat16" and _LIMIT not in os.environ and amx_is_broken():
        if not _survives(_SAFE_LIMIT):
            raise TrainingError("this machine's CPU cannot compute in bfloat16; use --precision float32")
        # Read by oneDNN at its first product, which no run has made yet.
        os.environ[_LIMIT] = _SAFE_LIMIT


def amx_is_broken() -> bool:
    """Whether this machine announces Intel's AMX, and ends a process that computes with it."""
    return _announces_amx() and not _survives("")


def _announces_amx() -> bool:
    cpu = Path("/proc/cpuinfo")
    return cpu.exists() and "amx_bf16" in cpu.read_text()


@functools.cache
def _survives(limit: str | None, precision: str = "bfloat16") -> bool:
    """Whether a process computes under a limit; None: the one that is set, "": none."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", **({} if limit is None else {_LIMIT: limit})}
    if not environment.get(_LIMIT):
        environment.pop(_LIMIT, None)
    trial = subprocess.run([sys.executable, "-c", _TRIAL, precision], env=environment, capture_output=True, check=False)
    return trial.returncode == 0
