"""oneDNN, the library that computes TensorFlow's matrix products on x86 processors.

TensorFlow uses oneDNN by itself only where a processor has AVX-512 VNNI. On a processor of AMD with AVX2 alone a
training step took a quarter less time with it, and an epoch of fine-tuning half as much (two cores of a virtual
machine).

Some virtual machines announce Intel's AMX and end the process with SIGILL when oneDNN uses it. A child process tries
once; where it dies, ONEDNN_MAX_CPU_ISA tells oneDNN to leave AMX alone. oneDNN reads the variable before its first
product.
"""

from __future__ import annotations

import functools
import os
import platform
import subprocess
import sys
from pathlib import Path

SETTING = "TF_ENABLE_ONEDNN_OPTS"
LIMIT = "ONEDNN_MAX_CPU_ISA"
SAFE_LIMIT = "AVX512_CORE_BF16"
_TRIAL = """
import sys
import tensorflow as tf
matrix = tf.ones([512, 512], sys.argv[1])
tf.matmul(matrix, matrix)
"""


def use_onednn() -> bool:
    """Sets TF_ENABLE_ONEDNN_OPTS=1 on x86 processors, unless it is set; says whether it changed the variable."""
    if platform.machine().lower() not in ("x86_64", "amd64") or SETTING in os.environ:
        return False
    os.environ[SETTING] = "1"
    return True


def avoid_broken_amx() -> bool:
    """Sets ONEDNN_MAX_CPU_ISA where this machine's AMX is broken, unless it is set; says whether it changed it.

    It changes nothing where bfloat16 products end the process with that limit, too.
    """
    if LIMIT in os.environ or not amx_is_broken() or not survives(SAFE_LIMIT):
        return False
    os.environ[LIMIT] = SAFE_LIMIT
    return True


def amx_is_broken() -> bool:
    """Returns whether this machine announces Intel's AMX although processes that compute with it are killed."""
    return _announces_amx() and not survives("")


def _announces_amx() -> bool:
    cpu = Path("/proc/cpuinfo")
    return cpu.exists() and "amx_bf16" in cpu.read_text()


@functools.cache
def survives(limit: str | None, precision: str = "bfloat16") -> bool:
    """Returns whether a child process can multiply matrices.

    Args:
        limit: The value of ONEDNN_MAX_CPU_ISA in the child; None keeps the one of this process, "" removes it.
        precision: The dtype of the matrices.
    """
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", **({} if limit is None else {LIMIT: limit})}
    if not environment.get(LIMIT):
        environment.pop(LIMIT, None)
    trial = subprocess.run([sys.executable, "-c", _TRIAL, precision], env=environment, capture_output=True, check=False)
    return trial.returncode == 0
