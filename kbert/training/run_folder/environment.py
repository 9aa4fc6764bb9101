"""environment.json: what a run runs on, for its report."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

import tensorflow as tf

from kbert import files
from kbert.training.devices.strategy import Placement
from kbert.training.run_folder.runs import ENVIRONMENT_FILE
from kbert.version import __version__

_PACKAGES = ("tensorflow", "tensorflow-text", "keras", "numpy", "safetensors")


def write_environment(folder: Path, placement: Placement, peak: float | None) -> None:
    """Writes versions, machine and devices; a run that is resumed elsewhere writes them anew.

    Args:
        folder: The run's.
        placement: Where it runs.
        peak: Operations a second of all its devices.
    """
    files.write_json(folder / ENVIRONMENT_FILE, describe_environment(placement, peak))


def describe_environment(placement: Placement, peak: float | None) -> dict[str, Any]:
    """What `write_environment` writes; names no host and no user."""
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
    """The name that Linux knows; elsewhere what Python says."""
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
