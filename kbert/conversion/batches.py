"""The inputs on which a conversion compares two models."""

from __future__ import annotations

import dataclasses

import numpy as np

from kbert.config import BertConfig

Outputs = dict[str, np.ndarray]
"""What a model gives for one batch: float32 arrays by the names of kbert's outputs."""


@dataclasses.dataclass(frozen=True)
class Batch:
    """Token ids, a mask and types, int32 [B, S] each."""

    ids: np.ndarray
    mask: np.ndarray
    types: np.ndarray

    def inside(self, outputs: Outputs) -> Outputs:
        """Outputs without those of padding, which mean nothing: [B, S, …] becomes [tokens, …]."""
        kept = self.mask == 1
        return {name: value[kept] if _is_of_tokens(name, value) else value for name, value in outputs.items()}


def random_batches(config: BertConfig) -> list[Batch]:
    """Always the same inputs for a shape: padded texts and pairs, one token alone, and the longest sequence."""
    rng = np.random.default_rng(0)
    length = min(config.max_position_embeddings, 64)
    batches = []
    for size, lengths in (
        (length, [length, max(1, length // 3), 1, max(1, length - 1)]),
        (config.max_position_embeddings, [config.max_position_embeddings]),
    ):
        ends = np.array(lengths)[:, None]
        places = np.arange(size)
        mask = (places < ends).astype(np.int32)
        # Every other row is a pair, cut in the middle.
        second = (places >= ends // 2) & (np.arange(len(lengths))[:, None] % 2 == 0) & (config.type_vocab_size > 1)
        ids = rng.integers(0, config.vocab_size, (len(lengths), size)).astype(np.int32) * mask
        batches.append(Batch(ids, mask, second.astype(np.int32) * mask))
    return batches


def _is_of_tokens(name: str, value: np.ndarray) -> bool:
    """Whether an output has a row a token. Those of three dimensions have, and of two the logits of spans."""
    return value.ndim == 3 or name in ("start_logits", "end_logits")
