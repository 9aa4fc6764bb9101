"""Optimizer settings that follow from the name of a variable: its weight decay, and its learning rate by layer."""

from __future__ import annotations

import re
from collections.abc import Sequence

NOT_DECAYED = ("/bias", "/gamma", "/beta")
"""Ends of the names of variables without weight decay: biases and LayerNorm."""

BLOCK_KERNEL = re.compile(r"(?:^|/)block_\d+/.*/kernel$")
QKV = re.compile(r"/qkv/kernel$")

_BLOCK = re.compile(r"(?:^|/)block_(\d+)/")
_EMBEDDINGS = re.compile(r"(?:^|/)embeddings/")


def layer_rates(paths: Sequence[str], decay: float, head: float = 1.0) -> list[float]:
    """What the learning rate of each variable is multiplied by (arXiv 1801.06146, discriminative fine-tuning).

    Args:
        paths: Names of variables: ".../embeddings/...", ".../block_3/...", or what stands above all blocks.
        decay: The rate of a layer as part of that of the one above it.
        head: The factor for the variables above all blocks: the pooler and the heads.
    """
    depth = 1 + max((int(match[1]) for path in paths if (match := _BLOCK.search(path))), default=-1)

    def rate(path: str) -> float:
        if match := _BLOCK.search(path):
            return decay ** (depth - int(match[1]))
        return decay ** (depth + 1) if _EMBEDDINGS.search(path) else head

    return [rate(path) for path in paths]
