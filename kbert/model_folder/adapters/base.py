"""The base model of an adapter: where it is, whether it is the right one, and its tensors with the adapter merged."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kbert.config import BertConfig
from kbert.errors import BundleError, UsageError, shown
from kbert.files import PathLike
from kbert.model_folder.adapters.folder import Adapter, is_adapter
from kbert.model_folder.file_names import ADAPTER_CONFIG_FILE
from kbert.model_folder.hub import PREFIX, is_hub_name, resolve
from kbert.model_folder.parts import BOTTLENECK, DECODER, MLM_BIAS, TOKEN_TABLE, is_bottleneck, part_tensors

SECTION, SHA256 = "adapter", "base_sha256"
"""The section of an adapter's kbert.json about the adapter, and its key with the digest of the base model."""
_ENCODER = ("bert.embeddings.", "bert.encoder.")


def encoder_sha256(tensors: Mapping[str, np.ndarray]) -> str:
    """Returns SHA-256 of the embeddings and the blocks of a model, in hexadecimal digits.

    It does not depend on the files that hold the tensors, nor on the pooler and the heads.

    Args:
        tensors: The tensors, by their names in Transformers' models with heads.
    """
    found = hashlib.sha256()
    for name in sorted(name for name in tensors if name.startswith(_ENCODER)):
        array = np.ascontiguousarray(tensors[name])
        found.update(f"{name} {array.dtype} {array.shape}\n".encode())
        found.update(array.reshape(-1).view(np.uint8).data)
    return found.hexdigest()


def base_name(model: PathLike) -> tuple[str, str | None]:
    """Returns how adapter_config.json names a base model, and its revision, as PEFT expects them.

    Args:
        model: A model folder, whose absolute path is the name, or hf://owner/name, whose name is "owner/name".
    """
    if is_hub_name(model):
        name, _, revision = str(model).removeprefix(PREFIX).partition("@")
        return name, revision or None
    return str(Path(model).resolve()), None


def base_folder(folder: Path, config: Mapping[str, Any]) -> Path:
    """Returns the folder of the base model that adapter_config.json names; one of the hub is downloaded.

    PEFT calls it base_model_name_or_path; AdapterHub calls it model_name, but the other key has precedence if a user
    added it. The name is a path, which may be relative to the working directory or to the folder of the adapter, or the
    name of a model of the Hugging Face Hub.

    Args:
        folder: The folder of the adapter.
        config: The contents of its adapter_config.json.

    Raises:
        UsageError: There is no such folder, or it is itself an adapter.
        HubError: The model of the hub is not available.
    """
    name, revision = config.get("base_model_name_or_path", config.get("model_name")), config.get("revision")
    if not isinstance(name, str) or not name:
        raise BundleError(
            f"{folder / ADAPTER_CONFIG_FILE}: expected the base model as base_model_name_or_path. "
            f"Received: {shown(name)}"
        )
    if is_hub_name(name):
        return resolve(name)
    for place in (Path(name), folder / name):
        if place.is_dir():
            if is_adapter(place):
                raise UsageError(
                    f"{folder / ADAPTER_CONFIG_FILE}: expected a whole model as the base model. {place} is an adapter; "
                    "merge it first with `kbert adapters merge`"
                )
            return place
    if Path(name).is_absolute() or name.startswith(".") or name.count("/") > 1:
        raise UsageError(
            f"the base model of the adapter {folder} is missing: there is no folder {name}; if it moved, write its new "
            f"path as base_model_name_or_path into {ADAPTER_CONFIG_FILE}, or give it to `kbert adapters merge --base`"
        )
    return resolve(f"{PREFIX}{name}@{revision}" if isinstance(revision, str) and revision else f"{PREFIX}{name}")


def check_base(
    folder: Path, adapter: Adapter, base: Path, tensors: Mapping[str, np.ndarray], config: BertConfig
) -> None:
    """Checks that a model is the base model of an adapter.

    Args:
        folder: The folder of the adapter.
        adapter: The adapter.
        base: The folder of the base model.
        tensors: The tensors of the base model.
        config: The configuration of the base model.

    Raises:
        UsageError: The digest of the weights differs, or the tensors of the adapter do not fit.
    """
    if config.bottleneck_size is not None:
        raise UsageError(
            f"expected a plain BERT as the base model of the adapter {folder}. {base} has bottleneck adapters"
        )
    section = adapter.settings.get(SECTION)
    expected = section.get(SHA256) if isinstance(section, dict) else None
    if expected is not None and expected != encoder_sha256(tensors):
        raise UsageError(
            f"the adapter {folder} is for another base model: the weights of {base} are not those that it was trained "
            f"with; write the path of the right model as base_model_name_or_path into {ADAPTER_CONFIG_FILE}"
        )
    for name, matrices in adapter.low_rank.items():
        kernel = tensors.get(name)
        if kernel is None or kernel.shape != matrices.shape:
            received = "no such tensor" if kernel is None else f"the shape {list(kernel.shape)}"
            raise UsageError(
                f"the adapter {folder} is for another base model: expected {shown(name)} of the shape "
                f"{list(matrices.shape)}. {base} has {received}"
            )
    if adapter.bottleneck_size is not None:
        whole = config.replace(bottleneck_size=adapter.bottleneck_size)
        expected_shapes = {
            name: shape
            for layer in range(config.num_hidden_layers)
            for name, shape in part_tensors(BOTTLENECK, whole, layer=layer)
        }
        received_shapes = {name: each.shape for name, each in adapter.tensors.items() if is_bottleneck(name)}
        if received_shapes != expected_shapes:
            raise UsageError(
                f"the adapter {folder} is for another base model: expected bottleneck adapters for "
                f"{config.num_hidden_layers} blocks of width {config.hidden_size}, those of {base}. Received: "
                f"{len(received_shapes)} tensors, {shown(sorted(set(received_shapes.values())))}"
            )


def merged_tensors(adapter: Adapter, base: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the tensors of the base model with those of the adapter; adapted kernels are float32."""
    tensors = {**base, **adapter.tensors}
    for name, matrices in adapter.low_rank.items():
        tensors[name] = matrices.applied(tensors[name])
    if TOKEN_TABLE in adapter.low_rank and MLM_BIAS in tensors:
        # LoRA of the table does not change the decoder of the MLM head, which has the table of the base model.
        tensors.setdefault(DECODER, base[TOKEN_TABLE])
    # PEFT's files may have second copies of tied weights (see kbert.model_folder.weights).
    bias = tensors.pop("cls.predictions.decoder.bias", None)
    if bias is not None:
        tensors[MLM_BIAS] = bias
    if DECODER in tensors and np.array_equal(tensors[DECODER], tensors[TOKEN_TABLE]):
        del tensors[DECODER]
    return tensors
