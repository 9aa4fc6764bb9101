"""The file environment.json: the software versions, the machine and the devices of a run, for its report."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

import tensorflow as tf

from kbert import files
from kbert.training.devices.strategy import Distribution
from kbert.training.run_folder.runs import ENVIRONMENT_FILE
from kbert.version import __version__

_PACKAGES = ("tensorflow", "tensorflow-text", "keras", "numpy", "safetensors")


def write_environment(folder: Path, placement: Distribution, peak: float | None) -> None:
    """Writes environment.json; a run that is resumed on another machine overwrites it.

    Args:
        folder: The folder of the run.
        placement: The devices of the run.
        peak: The peak operations per second of all devices together; None if it is unknown.
    """
    files.write_json(folder / ENVIRONMENT_FILE, describe_environment(placement, peak))


def describe_environment(placement: Distribution, peak: float | None) -> dict[str, Any]:
    """Returns the content of environment.json, which contains no host name and no user name."""
    strategy = placement.strategy
    return {
        "kbert": __version__,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in _PACKAGES},
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "devices": [_device(device) for device in tf.config.list_physical_devices()],
        "strategy": type(strategy).__name__.removesuffix("Strategy"),
        "replicas": strategy.num_replicas_in_sync,
        "workers": placement.workers,
        "matrix_peak_flops": peak,
    }


def _processor() -> str:
    """Returns the name of the processor: on Linux from /proc/cpuinfo, elsewhere from Python."""
    with_names = Path("/proc/cpuinfo")
    if with_names.is_file():
        for line in with_names.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, name = line.partition(":")
            if key.strip() == "model name":
                return name.strip()
    return platform.processor()


def _device(device: Any) -> str:
    details = tf.config.experimental.get_device_details(device) if device.device_type == "GPU" else {}
    return str(details.get("device_name", device.device_type))
