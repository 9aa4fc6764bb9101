import os
import shutil

import pytest

from kbert.errors import TrainingError, UsageError
from kbert.training.devices import precision as devices_precision
from kbert.training.devices.precision import prepare_precision


def test_a_precision_that_cannot_be():
    with pytest.raises(
        UsageError, match=r"^precision must be one of float32, bfloat16, float16\. Received: precision='half'$"
    ):
        prepare_precision("half")


def test_float32_needs_nothing(monkeypatch):
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    prepare_precision("float32")
    assert "ONEDNN_MAX_CPU_ISA" not in os.environ


def test_a_limit_that_the_user_set_is_kept(monkeypatch):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    prepare_precision("bfloat16")
    assert os.environ["ONEDNN_MAX_CPU_ISA"] == "AVX2"


@pytest.mark.parametrize(
    ("works_without", "message"),
    [
        (True, "ONEDNN_MAX_CPU_ISA=AVX2 disables float16 on this machine's CPU; unset it"),
        (False, "^this machine's CPU "),
    ],
)
def test_float16_is_refused_with_the_reason(monkeypatch, works_without, message):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(devices_precision, "survives", lambda limit, precision: works_without and limit == "")
    with pytest.raises(TrainingError, match=message):
        prepare_precision("float16")


def test_bfloat16_is_refused_where_it_would_end_the_process(monkeypatch):
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    monkeypatch.setattr(devices_precision, "amx_is_broken", lambda: True)
    monkeypatch.setattr(devices_precision, "survives", lambda limit: True)
    with pytest.raises(TrainingError, match=r'call kbert\.prepare_runtime\(precision="bfloat16"\) before the first'):
        prepare_precision("bfloat16")
    assert "ONEDNN_MAX_CPU_ISA" not in os.environ
    monkeypatch.setattr(devices_precision, "survives", lambda limit: False)
    with pytest.raises(
        TrainingError, match=r"^this machine's CPU cannot compute in bfloat16; use --precision float32$"
    ):
        prepare_precision("bfloat16")


@pytest.mark.long
def test_bfloat16_products_work_afterwards(monkeypatch, run_python):
    """In a process of its own: oneDNN reads the limit once, and a wrong one ends the process."""
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    process = run_python(
        "import kbert\n"
        "kbert.prepare_runtime(precision='bfloat16')\n"
        "from kbert.training.devices.precision import prepare_precision\n"
        "prepare_precision('bfloat16')\n"
        "import tensorflow as tf\n"
        "matrix = tf.ones([512, 512], tf.bfloat16)\n"
        "print(float(tf.matmul(matrix, matrix)[0, 0]))\n"
    )
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, output) == (0, "512.0\n"), errors
