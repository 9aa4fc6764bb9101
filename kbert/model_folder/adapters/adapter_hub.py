"""Folders of bottleneck adapters, in the format of AdapterHub's package adapters.

    adapter_config.json      the settings of the adapter under "config", and its base model as "model_name"
    adapter.safetensors      the tensors of the adapters in the blocks; kbert adds those of the pooler.
                             pytorch_adapter.bin can be read, but is never written
    head_config.json         the class of the whole model, and its labels
    model_head.safetensors   the tensors of the head; pytorch_model_head.bin can be read, but is never written

The kind of AdapterHub's "seq_bn" is supported: one adapter in each block, after the feed-forward layer, with the
LayerNorm of the block before and after it. The package opens a folder that kbert wrote with
`model.load_adapter(folder, use_safetensors=True)`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kbert import files
from kbert.config import ACTIVATIONS
from kbert.errors import BundleError, UsageError, shown
from kbert.model_folder.architectures import ARCHITECTURES
from kbert.model_folder.file_names import (
    ADAPTER_CONFIG_FILE,
    ADAPTER_HUB_TORCH_FILE,
    ADAPTER_HUB_WEIGHTS_FILE,
    HEAD_CONFIG_FILE,
    HEAD_TORCH_FILE,
    HEAD_WEIGHTS_FILE,
)
from kbert.model_folder.parts import ENCODER_PREFIX, HEAD_NAMESPACES, is_bottleneck
from kbert.model_folder.weights import read_tensor_file
from kbert.version import __version__

_NAME = "kbert"
"""The name of the adapter in folders that kbert writes."""
_SEQ_BN: Mapping[str, tuple[Any, Any]] = {
    "mh_adapter": (False, False),
    "output_adapter": (True, True),
    "original_ln_before": (True, False),
    "original_ln_after": (True, True),
    "residual_before_ln": (True, True),
    "adapter_residual_before_ln": (False, False),
    "ln_before": (False, False),
    "ln_after": (False, False),
    "is_parallel": (False, False),
    "use_gating": (False, False),
    "inv_adapter": (None, None),
    "leave_out": ([], []),
    "phm_layer": (False, False),
}
"""The settings that change the computation: the value of the supported kind, and the default if a file has none."""
_OLD_ACTIVATIONS = {"gelu": "gelu_new", "gelu_orig": "gelu"}
"""The activations in files without a version, which are from before version 2 of the package, and their names today."""
_STORED = re.compile(
    r"(?P<block>(?:bert\.)?encoder\.layer\.\d+\.output\.)adapters\.[^.]+\.adapter_(?P<part>down\.0|up)\.(?P<end>weight|bias)"
)


@dataclasses.dataclass(frozen=True)
class BottleneckContent:
    """What a folder of AdapterHub's holds.

    Args:
        tensors: The tensors of the adapters, the pooler and the head, by their names in kbert's model folders.
        size: The width of the adapters.
        act: Their activation.
        architecture: The class name of the whole model in Transformers; None if the folder has no head.
        labels: `id2label` and `label2id` of the head, for config.json; empty if the folder has none.
    """

    tensors: dict[str, np.ndarray]
    size: int
    act: str
    architecture: str | None
    labels: dict[str, Any]


def is_adapter_hub(config: Mapping[str, Any]) -> bool:
    """Returns whether these are the contents of an adapter_config.json of AdapterHub's package."""
    return isinstance(config.get("config"), dict) and "peft_type" not in config


def read_bottlenecks(folder: Path, config: Mapping[str, Any]) -> BottleneckContent:
    """Reads the weights of an adapter and its head.

    Args:
        folder: The folder.
        config: The contents of its adapter_config.json.

    Raises:
        BundleError: A file is missing or damaged.
        UsageError: kbert does not support the adapter or its head.
    """
    place = folder / ADAPTER_CONFIG_FILE
    settings = config["config"]
    _check_supported(place, settings)
    act = settings.get("non_linearity")
    if "version" not in config:
        act = _OLD_ACTIVATIONS.get(act, act)
    if act not in ACTIVATIONS:
        raise UsageError(f"{place}: expected one of {', '.join(ACTIVATIONS)} as non_linearity. Received: {shown(act)}")
    scaling = settings.get("scaling", 1.0)
    if isinstance(scaling, bool) or not isinstance(scaling, (int, float)):
        raise UsageError(f"{place}: expected a number as scaling. Received: {shown(scaling)}")
    path = weights_files(folder)[0]
    tensors = {}
    for stored, tensor in read_tensor_file(path).items():
        name = _own_name(path, stored)
        tensors[name] = tensor if ".bottleneck.up." not in name else np.float32(scaling) * tensor
    sizes = {tensor.shape[0] for name, tensor in tensors.items() if name.endswith(".bottleneck.down.bias")}
    if len(sizes) != 1:
        raise UsageError(f"{path}: expected adapters of one width in all blocks. Received: {sorted(sizes)}")
    architecture, labels, head = _read_head(folder)
    return BottleneckContent({**tensors, **head}, sizes.pop(), act, architecture, labels)


def weights_files(folder: Path) -> list[Path]:
    """Returns the paths of the weights of an adapter and, if the folder has them, of those of its head.

    Raises:
        BundleError: The folder has no weights of an adapter.
    """
    path = _first_file(folder, ADAPTER_HUB_WEIGHTS_FILE, ADAPTER_HUB_TORCH_FILE)
    if path is None:
        raise BundleError(
            f"expected {ADAPTER_HUB_WEIGHTS_FILE} or {ADAPTER_HUB_TORCH_FILE} in {folder}. Received: neither"
        )
    head = _first_file(folder, HEAD_WEIGHTS_FILE, HEAD_TORCH_FILE)
    return [path] if head is None else [path, head]


def adapter_hub_config(
    base: str, *, reduction: int, act: str, architecture: str, hidden_size: int, revision: str | None = None
) -> dict[str, Any]:
    """Returns the contents of adapter_config.json.

    Args:
        base: The base model: a path, or "owner/name" for a model of the Hugging Face Hub.
        reduction: The hidden size of the model divided by the width of the adapters.
        act: The activation of the adapters.
        architecture: The class name of the whole model in Transformers.
        hidden_size: The hidden size of the model.
        revision: The revision of a base model of the hub.
    """
    settings = {name: value for name, (value, _) in _SEQ_BN.items()}
    return {
        "config": {**settings, "non_linearity": act, "reduction_factor": reduction, "scaling": 1.0},
        **_shared(base, architecture, hidden_size),
        "name": _NAME,
        "revision": revision,
    }


def stored_files(
    tensors: Mapping[str, np.ndarray], config: Mapping[str, Any], further: Mapping[str, Any]
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, Any]]:
    """Returns the tensors of each file of weights, and the contents of head_config.json, which is empty without a head.

    Args:
        tensors: The trained tensors, by their names in kbert's model folders.
        config: The contents of adapter_config.json.
        further: Further keys of the config.json of the whole model, such as its labels.
    """
    encoder = {_stored_name(name): each for name, each in tensors.items() if name.startswith(ENCODER_PREFIX)}
    head = {name: each for name, each in tensors.items() if not name.startswith(ENCODER_PREFIX)}
    if not head:
        return {ADAPTER_HUB_WEIGHTS_FILE: encoder}, {}
    shared = {key: config[key] for key in _shared("", "", 0)}
    labels = {key: further[key] for key in ("label2id", "num_labels") if key in further}
    if "label2id" in labels:
        labels.setdefault("num_labels", len(labels["label2id"]))
    return (
        {ADAPTER_HUB_WEIGHTS_FILE: encoder, HEAD_WEIGHTS_FILE: head},
        {"config": None, "name": None, **shared, **labels},
    )


def _shared(base: str, architecture: str, hidden_size: int) -> dict[str, Any]:
    return {
        "hidden_size": hidden_size,
        "model_class": architecture,
        "model_name": base,
        "model_type": "bert",
        # Files without a version have other names of activations.
        "version": f"kbert.{__version__}",
    }


def _check_supported(place: Path, settings: Mapping[str, Any]) -> None:
    for name, (value, default) in _SEQ_BN.items():
        received = settings.get(name, default)
        if received != value or isinstance(received, bool) != isinstance(value, bool):
            raise UsageError(
                f"{place}: kbert supports the bottleneck adapters that AdapterHub calls seq_bn: expected "
                f"{name}={shown(value)}. Received: {name}={shown(received)}"
            )


def _own_name(path: Path, stored: str) -> str:
    match = _STORED.fullmatch(stored)
    if match is not None:
        part = "down" if match["part"] == "down.0" else "up"
        name = f"{match['block']}bottleneck.{part}.{match['end']}"
    elif stored.startswith((f"{ENCODER_PREFIX}pooler.", "pooler.")):
        name = stored
    else:
        raise UsageError(
            f"{path}: kbert does not support this part of an adapter. Received: the tensor {shown(stored)}"
        )
    return name if name.startswith(ENCODER_PREFIX) else ENCODER_PREFIX + name


def _stored_name(name: str) -> str:
    if not is_bottleneck(name):
        return name
    name = name.replace(".bottleneck.down.", f".adapters.{_NAME}.adapter_down.0.")
    return name.replace(".bottleneck.up.", f".adapters.{_NAME}.adapter_up.")


def _read_head(folder: Path) -> tuple[str | None, dict[str, Any], dict[str, np.ndarray]]:
    """Returns the architecture, the labels and the tensors of the head; None and nothing if the folder has no head."""
    place, path = folder / HEAD_CONFIG_FILE, _first_file(folder, HEAD_WEIGHTS_FILE, HEAD_TORCH_FILE)
    if path is None or not place.is_file():
        return None, {}, {}
    config = files.read_json(place, BundleError)
    if not isinstance(config, dict):
        raise BundleError(f"{place}: expected a JSON object. Received: {type(config).__name__}")
    architecture = config.get("model_class")
    if architecture not in ARCHITECTURES:
        raise UsageError(
            f"{place}: expected one of {', '.join(ARCHITECTURES)} as model_class. Received: {shown(architecture)}"
        )
    tensors = read_tensor_file(path)
    unknown = next((name for name in tensors if not name.startswith((*HEAD_NAMESPACES, "crf."))), None)
    if unknown is not None:
        raise UsageError(f"{path}: kbert does not support this head. Received: the tensor {shown(unknown)}")
    labels = config.get("label2id")
    if not isinstance(labels, dict) or sorted(map(str, labels.values())) != sorted(map(str, range(len(labels)))):
        return str(architecture), {}, tensors
    named = {str(index): label for label, index in labels.items()}
    return str(architecture), {"id2label": named, "label2id": labels}, tensors


def _first_file(folder: Path, *names: str) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)
