"""Which models and versions are served, and the file in which TensorFlow Serving takes this."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kbert.errors import ServingError
from kbert.files import PathLike
from kbert.serving.text_protos import parse_text


@dataclasses.dataclass(frozen=True)
class VersionPolicy:
    """Which of the versions in a folder are served: all of them, named ones, or the largest ones."""

    latest: int = 1
    """The number of largest versions that are served."""
    specific: tuple[int, ...] = ()
    """If given, these versions are served."""
    all_versions: bool = False

    def wanted(self, versions: Sequence[int]) -> list[int]:
        """Returns the versions to serve of those that a folder holds, the largest first."""
        ordered = sorted(versions, reverse=True)
        if self.all_versions:
            return ordered
        if self.specific:
            return [version for version in ordered if version in self.specific]
        return ordered[: self.latest]


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """A model to serve."""

    name: str
    base_path: Path
    policy: VersionPolicy = VersionPolicy()
    labels: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """The version of each label, by which requests can name it."""


def read_model_config(path: PathLike) -> list[ModelConfig]:
    """Reads a text file with the message ModelServerConfig, as for TensorFlow Serving's --model_config_file.

    Raises:
        ServingError: The file cannot be read, or is invalid.
    """
    from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise ServingError(f"expected a file that lists models. Received: {path} ({problem})") from None
    message = parse_text(text, ModelServerConfig, path)
    try:
        return model_configs(message)
    except ServingError as problem:
        raise ServingError(f"{path}: {problem}") from None


def model_configs(message: Any) -> list[ModelConfig]:
    """Returns the models of a message ModelServerConfig.

    Raises:
        ServingError: A name is missing or repeated, a path is not absolute, or the platform is not TensorFlow.
    """
    if message.WhichOneof("config") == "custom_model_config":
        raise ServingError("expected model_config_list. Received: custom_model_config, which is not implemented")
    configs: dict[str, ModelConfig] = {}
    for each in message.model_config_list.config:
        if not each.name:
            raise ServingError("expected a name for each model. Received: a config without name")
        if each.name in configs:
            raise ServingError(f"Illegal to list model {each.name} multiple times in config list")
        if not each.base_path.startswith("/"):
            raise ServingError(
                f"Expected model {each.name} to have an absolute path or URI; got base_path()={each.base_path}"
            )
        _check_platform(each)
        configs[each.name] = ModelConfig(
            each.name, Path(each.base_path), _policy(each.model_version_policy), dict(each.version_labels)
        )
    return list(configs.values())


def _check_platform(config: Any) -> None:
    old, new = config.model_type, config.model_platform
    if old and new:
        raise ServingError(
            "Illegal setting both ModelServerConfig::model_type (deprecated) and ModelServerConfig::model_platform, "
            f"model name is {config.name}"
        )
    if not old and not new:
        raise ServingError(
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform, "
            f"model name is {config.name}"
        )
    tensorflow = config.DESCRIPTOR.fields_by_name["model_type"].enum_type.values_by_name["TENSORFLOW"].number
    if (old and old != tensorflow) or (new and new != "tensorflow"):
        raise ServingError(f"Model {config.name} requests unsupported platform {new or old}")


def _policy(message: Any) -> VersionPolicy:
    choice = message.WhichOneof("policy_choice")
    if choice == "all":
        return VersionPolicy(all_versions=True)
    if choice == "specific":
        if not message.specific.versions:
            raise ServingError("expected at least one version in the policy `specific`. Received: none")
        return VersionPolicy(specific=tuple(message.specific.versions))
    if choice == "latest":
        return VersionPolicy(latest=message.latest.num_versions or 1)
    return VersionPolicy()
