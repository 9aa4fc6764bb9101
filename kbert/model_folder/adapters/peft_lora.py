"""LoRA as PEFT stores it: matrices of a low rank that change kernels and tables, with the settings of each.

For a kernel W [out, in], PEFT stores `lora_A` [r, in] and `lora_B` [out, r], and computes with W + s B A. For a table
[rows, width], it stores `lora_embedding_A` [r, rows] and `lora_embedding_B` [width, r], and adds s (B A)ᵀ. The scale s
is α / r, or α / √r in rank-stabilized LoRA (arXiv 2312.03732). The settings `alpha_pattern` give an α to single layers.
DoRA (arXiv 2402.09353) also stores the norm of each row of the sum.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kbert.errors import BundleError, UsageError, shown
from kbert.model_folder.adapters.peft_names import DOWN, MAGNITUDE, TABLE_DOWN, TABLE_UP, UP
from kbert.model_folder.file_names import ADAPTER_CONFIG_FILE
from kbert.model_folder.parts import ENCODER_PREFIX

_DEFAULT_ALPHA = 8
_UNSUPPORTED = {"fan_in_fan_out": "kernels that are stored transposed", "layer_replication": "repeated blocks",
                "use_qalora": "QALoRA", "alora_invocation_tokens": "activated LoRA",
                "trainable_token_indices": "trained rows of a table"}  # fmt: skip
"""Settings of PEFT's LoRA that change the computation, with a description of each."""


@dataclasses.dataclass(frozen=True)
class LowRank:
    """LoRA's matrices of a kernel, which add scale · up · down to it.

    Args:
        down: The matrix A of a kernel, [r, in]; for a table Bᵀ, [r, width].
        up: The matrix B of a kernel, [out, r]; for a table Aᵀ, [rows, r].
        scale: The factor of their product.
        magnitude: The norm of each row of the sum, [out], in DoRA; None in LoRA.
    """

    down: np.ndarray
    up: np.ndarray
    scale: float
    magnitude: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of the kernel or the table: [out, in] or [rows, width]."""
        return len(self.up), self.down.shape[1]

    def applied(self, kernel: np.ndarray) -> np.ndarray:
        """Returns the kernel or the table that the model computes with, float32.

        Args:
            kernel: That of the base model, in Transformers' layout.
        """
        added = np.float32(self.scale) * (self.up.astype(np.float32) @ self.down.astype(np.float32))
        total = kernel.astype(np.float32) + added
        if self.magnitude is None:
            return total
        norms = np.linalg.norm(total, axis=1)
        return (self.magnitude.astype(np.float32) / norms)[:, None] * total


def check_supported(place: Path, config: Mapping[str, Any]) -> None:
    """Checks that no setting of PEFT changes the computation in a way that kbert does not have.

    Args:
        place: The path of adapter_config.json, for messages.
        config: Its contents.

    Raises:
        UsageError: A setting does.
    """
    for key, words in _UNSUPPORTED.items():
        if config.get(key):
            raise UsageError(f"{place}: kbert does not support {words}. Received: {key}={shown(config[key])}")


def read_low_rank(path: Path, name: str, factors: Mapping[str, np.ndarray], config: Mapping[str, Any]) -> LowRank:
    """Returns the matrices of a kernel or a table.

    Args:
        path: The file that has them, for messages.
        name: The name of the kernel or the table in a model with heads.
        factors: The stored matrices, by `DOWN`, `UP`, `TABLE_DOWN`, `TABLE_UP` and `MAGNITUDE`.
        config: The contents of adapter_config.json.

    Raises:
        BundleError: A matrix is missing, or shapes do not fit together.
        UsageError: It is DoRA of a table.
    """
    is_table = TABLE_DOWN in factors or TABLE_UP in factors
    names = (TABLE_DOWN, TABLE_UP) if is_table else (DOWN, UP)
    down, up, magnitude = factors.get(names[0]), factors.get(names[1]), factors.get(MAGNITUDE)
    if down is None or up is None or down.ndim != 2 or up.ndim != 2 or not 0 < len(down) == up.shape[1]:
        shapes = {factor: tensor.shape for factor, tensor in factors.items()}
        raise BundleError(
            f"{path}: expected {names[0]} [r, in] and {names[1]} [out, r] for {shown(name)}. Received: {shapes}"
        )
    if magnitude is not None and is_table:
        raise UsageError(f"{path}: kbert does not support DoRA of a table. Received: {MAGNITUDE} of {shown(name)}")
    if magnitude is not None and magnitude.shape != (len(up),):
        raise BundleError(
            f"{path}: expected {MAGNITUDE} of the shape [{len(up)}] for {shown(name)}. Received: {magnitude.shape}"
        )
    if bool(config.get("use_dora")) != (magnitude is not None) and not is_table:
        place = path.parent / ADAPTER_CONFIG_FILE
        raise BundleError(f"{place}: expected use_dora to be true if {path.name} has {MAGNITUDE}, and false otherwise")
    rank, alpha = len(down), _alpha(path.parent / ADAPTER_CONFIG_FILE, name, config)
    scale = alpha / (rank**0.5 if config.get("use_rslora") else rank)
    return LowRank(up.T, down.T, scale) if is_table else LowRank(down, up, scale, magnitude)


def _alpha(place: Path, name: str, config: Mapping[str, Any]) -> float:
    """Returns α for a layer: as in PEFT, that of the first key of `alpha_pattern` that is the end of the layer's name.

    Raises:
        BundleError: α is no number, or a key is no regular expression.
    """
    module = name.removesuffix(".weight")
    patterns = config.get("alpha_pattern") or {}
    if not isinstance(patterns, dict):
        raise BundleError(f"{place}: expected an object as alpha_pattern. Received: {shown(patterns)}")
    alpha = config.get("lora_alpha", _DEFAULT_ALPHA)
    for key, value in patterns.items():
        # The module of a BertModel has no "bert." in its name, and a key with ^ matches from the start.
        if any(_is_end(place, key, each) for each in (module, module.removeprefix(ENCODER_PREFIX))):
            alpha = value
            break
    if not isinstance(alpha, (int, float)) or isinstance(alpha, bool):
        raise BundleError(f"{place}: expected a number as lora_alpha. Received: {shown(alpha)}")
    return float(alpha)


def _is_end(place: Path, pattern: str, module: str) -> bool:
    try:
        return re.match(rf"(.*\.)?({pattern})$", module) is not None
    except re.error as problem:
        raise BundleError(
            f"{place}: expected regular expressions as the keys of alpha_pattern. Received: {shown(pattern)}"
        ) from problem
