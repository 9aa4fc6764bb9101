"""The folder of an adapter: the trained weights alone, without those of the base model.

    adapter_config.json          the kind of the adapter, its settings and its base model, with PEFT's keys
    adapter_model.safetensors    the trained tensors, by PEFT's names; adapter_model.bin can be read, but is never
                                 written
    kbert.json                   the settings of the task as in a model folder, and the digest of the base model

Folders of bottleneck adapters have other files of weights; see `kbert.model_folder.adapters.adapter_hub`.

PEFT opens folders of LoRA. It warns of keys that it does not know in adapter_config.json; therefore the digest is in
kbert.json, which PEFT does not read. Folders that PEFT wrote have no kbert.json. Folders are untrusted.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from kbert import files
from kbert.config import BertConfig
from kbert.errors import BundleError, UsageError, shown
from kbert.files import PathLike
from kbert.model_folder.adapters import adapter_hub, peft_names
from kbert.model_folder.adapters.peft_lora import LowRank, check_supported, read_low_rank
from kbert.model_folder.adapters.peft_names import DOWN, UP
from kbert.model_folder.adapters.spec import AdapterSpec
from kbert.model_folder.file_names import (
    ADAPTER_CONFIG_FILE,
    ADAPTER_TORCH_FILE,
    ADAPTER_WEIGHTS_FILE,
    CONFIG_FILE,
    HEAD_CONFIG_FILE,
    SETTINGS_FILE,
)
from kbert.model_folder.weights import read_tensor_file
from kbert.version import __version__

ADAPTER_FOLDER = "adapter"
"""The folder in that of a run that holds the adapter alone."""
_OWN_KIND = "kbert_adapter"
"""The key of adapter_config.json for kinds of adapters that PEFT does not have."""


@dataclasses.dataclass(frozen=True)
class Adapter:
    """The contents of an adapter's folder.

    Args:
        config: The contents of adapter_config.json.
        tensors: The trained tensors that replace those of the base model or are added to it, by their names in
            Transformers' models with heads.
        low_rank: The matrices of LoRA, by the name of the kernel.
        settings: The contents of kbert.json; empty for a folder of PEFT or of AdapterHub.
        bottleneck_size: The width of bottleneck adapters; None for other kinds.
        bottleneck_act: The activation of bottleneck adapters.
        architecture: The class name of the whole model in Transformers, in a folder of AdapterHub with a head.
        further: Keys for the config.json of the whole model: those of kbert, or the labels in a folder of AdapterHub.
    """

    config: dict[str, Any]
    tensors: dict[str, np.ndarray]
    low_rank: dict[str, LowRank] = dataclasses.field(default_factory=dict)
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    bottleneck_size: int | None = None
    bottleneck_act: str = "relu"
    architecture: str | None = None
    further: dict[str, Any] = dataclasses.field(default_factory=dict)


def is_adapter(path: PathLike) -> bool:
    """Returns whether a path is the folder of an adapter alone, and not that of a whole model."""
    return (Path(path) / ADAPTER_CONFIG_FILE).is_file() and not (Path(path) / CONFIG_FILE).exists()


def adapter_config(
    spec: AdapterSpec,
    base: str,
    *,
    architecture: str,
    hidden_size: int,
    names: list[str],
    revision: str | None = None,
) -> dict[str, Any]:
    """Returns the contents of adapter_config.json.

    Args:
        spec: The description of the adapter.
        base: The base model: a path, or "owner/name" for a model of the Hugging Face Hub.
        architecture: The class name of the whole model in Transformers.
        hidden_size: The hidden size of the model.
        names: The names of the trained tensors besides those of LoRA.
        revision: The revision of a base model of the hub.
    """
    shared = {"base_model_name_or_path": base, "revision": revision, "inference_mode": True}
    if spec.kind == "bottleneck":
        return adapter_hub.adapter_hub_config(
            base,
            reduction=spec.reduction,
            act=BertConfig.bottleneck_act,
            architecture=architecture,
            hidden_size=hidden_size,
            revision=revision,
        )
    if spec.kind == "bitfit":
        return {_OWN_KIND: spec.kind, **shared}
    return {
        "peft_type": "LORA",
        "task_type": peft_names.TASK_TYPES.get(architecture),
        **shared,
        "r": spec.rank,
        "lora_alpha": int(spec.alpha) if spec.alpha.is_integer() else spec.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": False,
        "use_rslora": False,
        "target_modules": peft_names.target_modules(spec.targets),
        "modules_to_save": peft_names.modules_to_save(names) or None,
    }


def save_adapter(folder: PathLike, adapter: Adapter, *, architecture: str) -> None:
    """Writes the folder of an adapter, each file atomically, with adapter_config.json last.

    Args:
        folder: The folder. It may exist.
        adapter: The adapter.
        architecture: The class name of the whole model in Transformers.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if adapter.bottleneck_size is not None:
        stored, head_config = adapter_hub.stored_files(adapter.tensors, adapter.config, adapter.further)
        if head_config:
            files.write_json(folder / HEAD_CONFIG_FILE, head_config)
    else:
        stored = {ADAPTER_WEIGHTS_FILE: _peft_tensors(adapter, bare=architecture == "BertModel")}
    for name, tensors in stored.items():
        with files.atomic_file(folder / name) as handle:
            contiguous = {key: np.ascontiguousarray(tensor, np.float32) for key, tensor in sorted(tensors.items())}
            handle.write(safetensors.numpy.save(contiguous, {"format": "pt"}))
    files.write_json(folder / SETTINGS_FILE, {"kbert_version": __version__, **adapter.settings})
    files.write_json(folder / ADAPTER_CONFIG_FILE, adapter.config)


def _peft_tensors(adapter: Adapter, *, bare: bool) -> dict[str, np.ndarray]:
    """Returns the tensors of PEFT's file by their names in it."""
    tensors = {peft_names.stored_name(name, bare=bare): tensor for name, tensor in adapter.tensors.items()}
    for name, matrices in adapter.low_rank.items():
        layer = name.removesuffix(".weight")
        for factor, matrix in ((DOWN, matrices.down), (UP, matrices.up)):
            tensors[peft_names.stored_name(f"{layer}.{factor}.weight", bare=bare)] = matrix
    return tensors


def adapter_weights_files(folder: PathLike) -> list[Path]:
    """Returns the paths of an adapter's files of weights; those of AdapterHub have a head in another file.

    Raises:
        BundleError: The folder has none.
    """
    if adapter_hub.is_adapter_hub(_read_object(Path(folder) / ADAPTER_CONFIG_FILE)):
        return adapter_hub.weights_files(Path(folder))
    return [_peft_weights_file(folder)]


def _peft_weights_file(folder: PathLike) -> Path:
    for name in (ADAPTER_WEIGHTS_FILE, ADAPTER_TORCH_FILE):
        if (Path(folder) / name).is_file():
            return Path(folder) / name
    raise BundleError(f"expected {ADAPTER_WEIGHTS_FILE} or {ADAPTER_TORCH_FILE} in {folder}. Received: neither")


def read_adapter(folder: PathLike) -> Adapter:
    """Reads the folder of an adapter that kbert, PEFT or AdapterHub's package wrote.

    Raises:
        BundleError: A file is missing or damaged.
        UsageError: kbert does not support the kind of the adapter, or a setting of it.
    """
    folder = Path(folder)
    place = folder / ADAPTER_CONFIG_FILE
    config = _read_object(place)
    settings = _read_object(folder / SETTINGS_FILE) if (folder / SETTINGS_FILE).is_file() else {}
    if adapter_hub.is_adapter_hub(config):
        content = adapter_hub.read_bottlenecks(folder, config)
        return Adapter(
            config,
            content.tensors,
            settings=settings,
            bottleneck_size=content.size,
            bottleneck_act=content.act,
            architecture=content.architecture,
            further=content.labels,
        )
    lora = config.get("peft_type") == "LORA"
    if not lora and config.get(_OWN_KIND) != "bitfit":
        kind = config.get("peft_type", config.get(_OWN_KIND))
        raise UsageError(f"{place}: expected an adapter of the kind LORA. Received: {shown(kind)}")
    if lora:
        check_supported(place, config)
    path = _peft_weights_file(folder)
    tensors: dict[str, np.ndarray] = {}
    factors: dict[str, dict[str, np.ndarray]] = {}
    for stored, tensor in read_tensor_file(path).items():
        name, factor = peft_names.read_name(stored)
        if ".original_module." in name:  # weights of the base model that a trained module replaces
            continue
        if factor is not None:
            factors.setdefault(name, {})[factor] = tensor
        elif "lora_" in name:
            raise UsageError(f"{path}: kbert does not support LoRA of this layer. Received: the tensor {shown(stored)}")
        else:
            tensors[name] = tensor
    low_rank = {name: read_low_rank(path, name, found, config) for name, found in factors.items()}
    return Adapter(config, tensors, low_rank, settings)


def _read_object(path: Path) -> dict[str, Any]:
    values = files.read_json(path, BundleError)
    if not isinstance(values, dict):
        raise BundleError(f"{path}: expected a JSON object. Received: {type(values).__name__}")
    return values
