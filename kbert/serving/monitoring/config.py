"""The file in which TensorFlow Serving takes its settings of monitoring."""

from __future__ import annotations

from pathlib import Path

from kbert.errors import ServingError
from kbert.files import PathLike
from kbert.serving.monitoring.metrics import DEFAULT_PATH
from kbert.serving.text_protos import parse_text, text_message_class

# The fields of TensorFlow Serving's message MonitoringConfig (tensorflow_serving/config/monitoring_config.proto).
_FIELDS = {"prometheus_config": {"enable": "bool", "path": "string"}}


def read_monitoring_path(path: PathLike) -> str:
    """Returns the path of the metrics that a file sets, as for TensorFlow Serving's --monitoring_config_file.

    Returns:
        The path; empty if the file turns the metrics off.

    Raises:
        ServingError: The file cannot be read, or is invalid.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise ServingError(f"expected a file of monitoring settings. Received: {path} ({problem})") from None
    config = parse_text(text, text_message_class("MonitoringConfig", _FIELDS), path).prometheus_config
    if not config.enable:
        return ""
    chosen = config.path or DEFAULT_PATH
    if not chosen.startswith("/") or chosen.startswith("/v1/"):
        raise ServingError(f"{path}: expected a path that begins with / and is not below /v1/. Received: {chosen}")
    return str(chosen)
