"""Optimizer settings that depend on the name of a variable: its weight decay, and its learning rate by layer."""

from __future__ import annotations

import re
from collections.abc import Sequence

NOT_DECAYED = ("/bias", "/gamma", "/beta")
"""The endings of the names of variables without weight decay: biases and LayerNorm."""

BLOCK_KERNEL = re.compile(r"(?:^|/)block_\d+/.*/kernel$")
QKV = re.compile(r"/qkv/kernel$")

_BLOCK = re.compile(r"(?:^|/)block_(\d+)/")
_EMBEDDINGS = re.compile(r"(?:^|/)embeddings/")


def layer_rates(paths: Sequence[str], decay: float, head: float = 1.0) -> list[float]:
    """Returns the factor of the learning rate of each variable (arXiv 1801.06146, discriminative fine-tuning).

    Args:
        paths: The names of the variables: ".../embeddings/...", ".../block_3/...", or others for variables above all
            blocks.
        decay: The learning rate of a layer divided by that of the layer above it.
        head: The factor for the variables above all blocks: the pooler and the heads.
    """
    depth = 1 + max((int(match[1]) for path in paths if (match := _BLOCK.search(path))), default=-1)

    def rate(path: str) -> float:
        if match := _BLOCK.search(path):
            return decay ** (depth - int(match[1]))
        return decay ** (depth + 1) if _EMBEDDINGS.search(path) else head

    return [rate(path) for path in paths]
