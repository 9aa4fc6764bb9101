"""A check that bfloat16 and float16 products work on this machine's CPU before a run uses them."""

from __future__ import annotations

import os
import shutil

from kbert.errors import TrainingError
from kbert.options import check_option
from kbert.runtime.onednn import LIMIT, SAFE_LIMIT, amx_is_broken, survives
from kbert.training.options import TrainingOptions


def prepare_precision(precision: str) -> None:
    """Checks the name of a precision, and that this machine can compute in it.

    On machines with broken AMX instructions (kbert/runtime/onednn.py), a bfloat16 product kills the process unless
    ONEDNN_MAX_CPU_ISA is set beforehand; `kbert.prepare_runtime(precision="bfloat16")` and the `kbert` program set it.
    Products in float16 kill the process on many CPUs and if ONEDNN_MAX_CPU_ISA is set, and they are slow on other CPUs,
    so float16 is for GPUs.

    Args:
        precision: "float32", "bfloat16" or "float16".

    Raises:
        UsageError: There is no precision of that name.
        TrainingError: Products in this precision would kill the process.
    """
    check_option(TrainingOptions, "precision", precision)
    if precision == "float16" and shutil.which("nvidia-smi") is None and not survives(None, "float16"):
        if LIMIT in os.environ and survives("", "float16"):
            raise TrainingError(
                f"{LIMIT}={os.environ[LIMIT]} disables float16 on this machine's CPU; unset it, or use --precision "
                "bfloat16 or float32"
            )
        raise TrainingError("this machine's CPU cannot compute in float16; use --precision bfloat16 or float32")
    if precision == "bfloat16" and LIMIT not in os.environ and amx_is_broken():
        if not survives(SAFE_LIMIT):
            raise TrainingError("this machine's CPU cannot compute in bfloat16; use --precision float32")
        raise TrainingError(
            "expected a process in which bfloat16 products work: this machine's AMX instructions end it. Received: "
            f'{LIMIT} is not set; call kbert.prepare_runtime(precision="bfloat16") before the first product, or set '
            f"{LIMIT}={SAFE_LIMIT}"
        )
